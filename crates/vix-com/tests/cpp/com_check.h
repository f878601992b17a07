/* com_check.h: checks of what COM calls return, for programs that use it by slot. */
#ifndef COM_CHECK_H
#define COM_CHECK_H

#include "binding.h"

#define CHECK(condition) check((condition), #condition, __LINE__)
#define CHECK_RESULT(call, expected) check_result((call), (expected), #call, __LINE__)

inline void check(bool holds, const char *what, int line)
{
    if (!holds) {
        printf("line %d: %s does not hold\n", line, what);
        exit(1);
    }
}

inline void check_result(HRESULT result, HRESULT expected, const char *what, int line)
{
    if (result != expected) {
        printf("line %d: %s is %08lx, expected %08lx\n", line, what, (unsigned long)result, (unsigned long)expected);
        exit(1);
    }
}

#endif
