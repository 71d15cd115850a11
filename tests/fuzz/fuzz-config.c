/* A configuration file either is refused with an error that names it, or gives sections that can be chosen. */
#include "base/err.h"
#include "options/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(config_deinit) struct config c = { .file = NULL };
        _cleanup_(freep) char *text = str_copy(data, size);
        struct location none = { .path = NULL };
        struct config_section *section;
        struct err err = { .kind = ERR_NONE };

        if (!text)
                return 0;
        if (config_read_text(&c, "fuzz.ini", text, &err) < 0) {
                if (c.count || err.kind != ERR_USAGE || !str_starts(err.text, "fuzz.ini:"))
                        abort();
                return 0;
        }
        if (config_choose(&c, &none, NULL, &section, &err) < 0 && (c.count < 2 || err.kind != ERR_USAGE))
                abort();
        for (size_t i = 0; i < c.count; i++) {
                err_clear(&err);
                if (config_find(&c, c.sections[i].name) != &c.sections[i])
                        abort();
                if (config_choose(&c, &c.sections[i].settings.destination, "/x", &section, &err) < 0 && c.count < 2)
                        abort();
                if (i > 0 && settings_complete(&c.sections[0].settings, &c.sections[i].settings, &err) < 0)
                        abort();
        }
        return 0;
}
