/*
 * fork.c: processes that fork while they use the library.
 *
 * fork NAME
 */
#include "check.h"

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* A child starts anew: nothing of its parent's is there, and everything works. */
static void child_begins_anew(VixHandle host, char **args)
{
    int status = -1;
    pid_t child;
    (void)args;
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        VixHandle own = connect_to(VIX_SERVICEPROVIDER_VMWARE_WORKSTATION);
        CHECK(own != host);
        CHECK_NUMBER(Vix_GetHandleType(host), VIX_HANDLETYPE_NONE);
        CHECK_JOB(opening(host, "/nowhere/a.vmx"), VIX_E_INVALID_HANDLE);
        CHECK_JOB(opening(own, "/nowhere/a.vmx"), VIX_E_VM_NOT_FOUND);
        VixHost_Disconnect(own);
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK_JOB(opening(host, "/nowhere/a.vmx"), VIX_E_VM_NOT_FOUND);
}

int main(int argc, char **argv)
{
    static const Test tests[] = {{"child_begins_anew", child_begins_anew}, {NULL, NULL}};
    return run_test(tests, argc, argv);
}
