/* An expression is either counted, within the bounds, or refused with a text and nothing else. */
#include "base/err.h"
#include "rotate/expression.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        _cleanup_(freep) char *text = str_copy(data, size);
        struct err err = { .kind = ERR_NONE };
        uint32_t count = 0;

        if (!text)
                return 0;
        if (expression_count(text, &count, &err) < 0) {
                if (err.kind != ERR_USAGE || !err.text[0] || count != 0)
                        abort();
        } else if (err.kind != ERR_NONE || count < 1 || (count > EXPRESSION_MAX && count != EXPRESSION_ALWAYS)) {
                abort();
        }
        return 0;
}
