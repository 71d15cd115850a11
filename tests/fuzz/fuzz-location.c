/* Whatever is parsed as a location is rendered as an expression that parses to the same location. */
#include "base/buf.h"
#include "base/err.h"
#include "options/location.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const char *text, int (*parse)(struct location *, const char *, struct err *))
{
        _cleanup_(location_deinit) struct location first = { .path = NULL }, again = { .path = NULL };
        _cleanup_(freep) char *expression = NULL;
        struct err err = { .kind = ERR_NONE };
        char shown[64];

        if (parse(&first, text, &err) < 0) {
                if (err.kind != ERR_USAGE || first.path || first.host)
                        abort();
                return;
        }
        location_show(&first, shown, sizeof(shown));
        expression = location_expression(&first);
        if (!expression || parse(&again, expression, &err) < 0 || !location_equal(&first, &again))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *text = str_copy(data, size);

        if (!text)
                return 0;
        round_trip(text, location_parse);
        round_trip(text, location_parse_tunnel);
        return 0;
}
