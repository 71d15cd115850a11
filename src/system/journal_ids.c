/* Made once, at random. */
#include "system/journal.h"

const char *journal_id(enum log_event event)
{
        static const char *const ids[LOG_EVENTS] = {
                [LOG_EVENT_STARTED] = "79fe1d916409410d84e6fe25db42b7b8",
                [LOG_EVENT_ENDED] = "84ad517c90314954b47697d521d21ebd",
                [LOG_EVENT_INCOMPLETE] = "dee1cfa26c0e4992a3ebbb4de7e26ee1",
                [LOG_EVENT_FAILED] = "6d2aab8d72ec4d7c98a8b566f839d68b",
                [LOG_EVENT_SKIPPED] = "eb88badbdfb14a7c88aa61895391983e",
                [LOG_EVENT_ERROR] = "9b0e5af80d6c471fb071362c917f3a15",
                [LOG_EVENT_LOST] = "7391fb938c644866a10eff50895d9bf3",
                [LOG_EVENT_REMAINS] = "23e458825bb3432ab59c1118bf83d96b",
                [LOG_EVENT_SNAPSHOT_MADE] = "a1ab917b78bc49778db20dd8892340a6",
                [LOG_EVENT_SNAPSHOT_REMOVED] = "4774e68b4b59472fa948d00e9b62af03",
        };

        return ids[event];
}
