/* How all test programs end. */
#pragma once

#include <check.h>
#include <stdlib.h>

/* Takes the cases over. Returns the exit status of main(). */
static inline int cases_run(const char *name, TCase *cases)
{
        Suite *suite = suite_create(name);
        SRunner *runner = srunner_create(suite);
        int failed;

        suite_add_tcase(suite, cases);
        srunner_run_all(runner, CK_NORMAL);
        failed = srunner_ntests_failed(runner);
        srunner_free(runner);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
