/*
 * guest.c: what is done in a guest that answers, in the name of its users.
 *
 * Arguments: the .vmx of the Linux test guest, off; a folder of the host for copies.
 */
#include "check.h"
#include "listener.h"

#define NONE VIX_INVALID_HANDLE
#define PATIENCE 120

/* Checks the guest's answer whether there is something. */
static void check_exists(VixHandle job, int expected)
{
    Bool exists = 2;
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_GUEST_OBJECT_EXISTS, &exists,
                            VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_NUMBER(exists, expected);
    Vix_ReleaseHandle(job);
}

/* Waits for a program that ends with `expected`; returns its number. */
static int64 ran(VixHandle job, int expected)
{
    int64 pid = -1;
    int code = -1;
    int seconds = -1;
    CHECK_ERROR(VixJob_Wait(job,
                            VIX_PROPERTY_JOB_RESULT_PROCESS_ID, &pid,
                            VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_EXIT_CODE, &code,
                            VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_ELAPSED_TIME, &seconds,
                            VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK(pid > 1);
    CHECK_NUMBER(code, expected);
    CHECK(seconds >= 0 && seconds < PATIENCE);
    Vix_ReleaseHandle(job);
    return pid;
}

/* Waits for a text; returns it, to be freed. */
static char *told(VixHandle job, VixPropertyID id)
{
    char *text = NULL;
    CHECK_ERROR(VixJob_Wait(job, id, &text, VIX_PROPERTY_NONE), VIX_OK);
    Vix_ReleaseHandle(job);
    return text;
}

static void check_told(VixHandle job, VixPropertyID id, const char *expected)
{
    char *text = told(job, id);
    CHECK_TEXT(text, expected);
    Vix_FreeBuffer(text);
}

static VixHandle logging_in(VixHandle vm, const char *user, const char *password)
{
    return VixVM_LoginInGuest(vm, user, password, 0, NULL, NULL);
}

static VixHandle program(VixHandle vm, const char *path, const char *arguments)
{
    return VixVM_RunProgramInGuest(vm, path, arguments, 0, NONE, NULL, NULL);
}

static void before_tools(VixHandle vm)
{
    CHECK_JOB(logging_in(vm, "bob", "bob-secret"), VIX_E_TOOLS_NOT_RUNNING);
    CHECK_JOB(VixVM_WaitForToolsInGuest(vm, 1, NULL, NULL), VIX_E_TIMEOUT_WAITING_FOR_TOOLS);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_POWER_STATE), VIX_POWERSTATE_POWERED_ON);
    CHECK_JOB(VixVM_WaitForToolsInGuest(vm, PATIENCE, NULL, NULL), VIX_OK);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_TOOLS_STATE), VIX_TOOLSSTATE_RUNNING);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_POWER_STATE),
                 VIX_POWERSTATE_POWERED_ON | VIX_POWERSTATE_TOOLS_RUNNING);
}

static void logins(VixHandle vm)
{
    static const char *const wrong[][2] = {
        {"bob", "wrong"}, {"bob", ""}, {"nemo", "x"}, {"empty", ""},
        {"locked", "locked-secret"}, {"expired", "locked-secret"},
        {"nologin", "locked-secret"}, {NULL, NULL}};
    int i;
    CHECK_JOB(program(vm, "/bin/true", ""), VIX_E_CANNOT_AUTHENTICATE_WITH_GUEST);
    for (i = 0; wrong[i][0] != NULL; i++) {
        CHECK_JOB(logging_in(vm, wrong[i][0], wrong[i][1]),
                  VIX_E_CANNOT_AUTHENTICATE_WITH_GUEST);
    }
    CHECK_JOB(VixVM_LoginInGuest(vm, "bob", "bob-secret",
                                 VIX_LOGIN_IN_GUEST_REQUIRE_INTERACTIVE_ENVIRONMENT, NULL, NULL),
              VIX_E_INTERACTIVE_SESSION_NOT_PRESENT);
    CHECK_JOB(program(vm, "/bin/true", ""), VIX_E_CANNOT_AUTHENTICATE_WITH_GUEST);
    CHECK_JOB(logging_in(vm, "bob", "bob-secret"), VIX_OK);
}

/* Notes what a procedure reads of a job that has run a program. */
static void note_exit(Listener *listener, VixHandle job)
{
    int code = -1;
    CHECK_ERROR(Vix_GetProperties(job, VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_EXIT_CODE, &code,
                                  VIX_PROPERTY_NONE),
                VIX_OK);
    listener->found = code;
}

static void programs(VixHandle vm)
{
    Listener listener;
    VixHandle job;
    ran(program(vm, "/bin/true", NULL), 0);
    ran(program(vm, "/bin/sh", "-c 'test $(id -un) = bob && exit 7'"), 7);
    ran(program(vm, "/bin/sh", "-c 'kill -9 $$'"), 137);
    CHECK_JOB(program(vm, "/no/such/program", ""), VIX_E_FILE_NOT_FOUND);
    CHECK_JOB(program(vm, "/etc/passwd", ""), VIX_E_FILE_ACCESS_ERROR);
    CHECK_JOB(program(vm, "/etc", ""), VIX_E_NOT_A_FILE);
    ran(VixVM_RunScriptInGuest(vm, "/bin/sh", "echo said >/home/bob/said\nexit 3", 0, NONE, NULL,
                               NULL),
        3);
    ran(VixVM_RunScriptInGuest(vm, NULL, "grep -q said /home/bob/said", 0, NONE, NULL, NULL), 0);

    listener_init(&listener);
    listener.then = note_exit;
    job = VixVM_RunProgramInGuest(vm, "/bin/sh", "-c 'exit 42'", 0, NONE, listen, &listener);
    CHECK_JOB(job, VIX_OK);
    await_completion(&listener);
    check_heard(&listener, VIX_OK);
    CHECK_NUMBER(listener.found, 42);
    listener_end(&listener);

    listener_init(&listener);
    job = VixVM_RunProgramInGuest(vm, "/no/such/program", "", 0, NONE, listen, &listener);
    Vix_ReleaseHandle(job);
    await_completion(&listener);
    check_heard(&listener, VIX_E_FILE_NOT_FOUND);
    listener_end(&listener);
}

/* Finds a process by its number in a list, where it must be; or must not, without a command. */
static void check_listed(VixHandle vm, int64 pid, const char *command)
{
    VixHandle job = VixVM_ListProcessesInGuest(vm, 0, NULL, NULL);
    int i, count, found = 0;
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
    count = VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_ITEM_NAME);
    CHECK(count > 3);
    for (i = 0; i < count; i++) {
        char *name = NULL, *owner = NULL, *line = NULL;
        int64 number = -1;
        int started = -1;
        Bool debugged = 2;
        CHECK_ERROR(VixJob_GetNthProperties(job, i,
                                            VIX_PROPERTY_JOB_RESULT_ITEM_NAME, &name,
                                            VIX_PROPERTY_JOB_RESULT_PROCESS_ID, &number,
                                            VIX_PROPERTY_JOB_RESULT_PROCESS_OWNER, &owner,
                                            VIX_PROPERTY_JOB_RESULT_PROCESS_COMMAND, &line,
                                            VIX_PROPERTY_JOB_RESULT_PROCESS_BEING_DEBUGGED,
                                            &debugged,
                                            VIX_PROPERTY_JOB_RESULT_PROCESS_START_TIME, &started,
                                            VIX_PROPERTY_NONE),
                    VIX_OK);
        if (number == pid) {
            found++;
            CHECK(command != NULL);
            CHECK_TEXT(name, "sleep");
            CHECK_TEXT(owner, "bob");
            CHECK_TEXT(line, command);
            CHECK_NUMBER(debugged, FALSE);
            CHECK(started > 0);
        }
        if (number == 2) {
            CHECK_TEXT(line, "kthreadd");
        }
        Vix_FreeBuffer(name);
        Vix_FreeBuffer(owner);
        Vix_FreeBuffer(line);
    }
    CHECK_NUMBER(found, command != NULL);
    Vix_ReleaseHandle(job);
}

static void processes(VixHandle vm)
{
    int64 pid = -1;
    VixHandle job = VixVM_RunProgramInGuest(vm, "/bin/sleep", "607",
                                            VIX_RUNPROGRAM_RETURN_IMMEDIATELY, NONE, NULL, NULL);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_PROCESS_ID, &pid, VIX_PROPERTY_NONE),
                VIX_OK);
    Vix_ReleaseHandle(job);
    check_listed(vm, pid, "/bin/sleep 607");
    CHECK_JOB(VixVM_KillProcessInGuest(vm, (uint64)pid, 0, NULL, NULL), VIX_OK);
    check_listed(vm, pid, NULL);
    CHECK_JOB(VixVM_KillProcessInGuest(vm, (uint64)pid, 0, NULL, NULL), VIX_E_NO_SUCH_PROCESS);
    CHECK_JOB(VixVM_KillProcessInGuest(vm, 1, 0, NULL, NULL), VIX_E_FILE_ACCESS_ERROR);
}

static void files(VixHandle vm)
{
    char *path;
    char *name = NULL;
    int64 bytes = -1, changed = -1;
    int flags = -1;
    VixHandle job;
    check_exists(VixVM_FileExistsInGuest(vm, "/home/bob/said", NULL, NULL), TRUE);
    check_exists(VixVM_FileExistsInGuest(vm, "/home/bob", NULL, NULL), FALSE);
    check_exists(VixVM_DirectoryExistsInGuest(vm, "/home/bob", NULL, NULL), TRUE);
    check_exists(VixVM_DirectoryExistsInGuest(vm, "/home/bob/said", NULL, NULL), FALSE);
    CHECK_JOB(VixVM_CreateDirectoryInGuest(vm, "/home/bob/a", NONE, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_CreateDirectoryInGuest(vm, "/etc/a", NONE, NULL, NULL),
              VIX_E_FILE_ACCESS_ERROR);
    CHECK_JOB(VixVM_RenameFileInGuest(vm, "/home/bob/said", "/home/bob/a/b c", 0, NONE, NULL, NULL),
              VIX_OK);
    CHECK_JOB(VixVM_RenameFileInGuest(vm, "/home/bob/said", "/home/bob/x", 0, NONE, NULL, NULL),
              VIX_E_FILE_NOT_FOUND);

    job = VixVM_ListDirectoryInGuest(vm, "/home/bob", 0, NULL, NULL);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
    CHECK_NUMBER(VixJob_GetNumProperties(job, VIX_PROPERTY_JOB_RESULT_ITEM_NAME), 1);
    CHECK_ERROR(VixJob_GetNthProperties(job, 0,
                                        VIX_PROPERTY_JOB_RESULT_ITEM_NAME, &name,
                                        VIX_PROPERTY_JOB_RESULT_FILE_FLAGS, &flags,
                                        VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_TEXT(name, "a");
    CHECK_NUMBER(flags, VIX_FILE_ATTRIBUTES_DIRECTORY);
    Vix_FreeBuffer(name);
    Vix_ReleaseHandle(job);
    CHECK_JOB(VixVM_ListDirectoryInGuest(vm, "/none", 0, NULL, NULL), VIX_E_FILE_NOT_FOUND);
    CHECK_JOB(VixVM_ListDirectoryInGuest(vm, "/etc/passwd", 0, NULL, NULL), VIX_E_NOT_A_DIRECTORY);
    CHECK_JOB(VixVM_ListDirectoryInGuest(vm, "/home/alice", 0, NULL, NULL),
              VIX_E_FILE_ACCESS_ERROR);

    job = VixVM_GetFileInfoInGuest(vm, "/home/bob/a/b c", NULL, NULL);
    CHECK_ERROR(VixJob_Wait(job,
                            VIX_PROPERTY_JOB_RESULT_FILE_SIZE, &bytes,
                            VIX_PROPERTY_JOB_RESULT_FILE_FLAGS, &flags,
                            VIX_PROPERTY_JOB_RESULT_FILE_MOD_TIME, &changed,
                            VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_NUMBER((long)bytes, 5);
    CHECK_NUMBER(flags, 0);
    CHECK(changed > 0);
    Vix_ReleaseHandle(job);

    CHECK_JOB(VixVM_DeleteFileInGuest(vm, "/home/bob/a", NULL, NULL), VIX_E_NOT_A_FILE);
    CHECK_JOB(VixVM_DeleteFileInGuest(vm, "/etc/passwd", NULL, NULL), VIX_E_FILE_ACCESS_ERROR);
    CHECK_JOB(VixVM_DeleteFileInGuest(vm, "/home/bob/a/b c", NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_DeleteFileInGuest(vm, "/home/bob/a/b c", NULL, NULL), VIX_E_FILE_NOT_FOUND);
    CHECK_JOB(VixVM_DeleteDirectoryInGuest(vm, "/home/bob/a", 0, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_DeleteDirectoryInGuest(vm, "/home/bob/a", 0, NULL, NULL),
              VIX_E_FILE_NOT_FOUND);

    path = told(VixVM_CreateTempFileInGuest(vm, 0, NONE, NULL, NULL),
                VIX_PROPERTY_JOB_RESULT_ITEM_NAME);
    CHECK_SAYS(path, "/tmp/");
    check_exists(VixVM_FileExistsInGuest(vm, path, NULL, NULL), TRUE);
    CHECK_JOB(VixVM_DeleteFileInGuest(vm, path, NULL, NULL), VIX_OK);
    Vix_FreeBuffer(path);
}

static VixHandle sending(VixHandle vm, const char *host, const char *guest)
{
    return VixVM_CopyFileFromHostToGuest(vm, host, guest, 0, NONE, NULL, NULL);
}

static VixHandle fetching(VixHandle vm, const char *guest, const char *host)
{
    return VixVM_CopyFileFromGuestToHost(vm, guest, host, 0, NONE, NULL, NULL);
}

static void copies(VixHandle vm, const char *folder)
{
    char read[64] = "";
    FILE *file = fopen(below(folder, "sent"), "w");
    CHECK(file != NULL);
    fputs("from the host", file);
    fclose(file);
    CHECK_JOB(sending(vm, below(folder, "sent"), "/home/bob/sent"), VIX_OK);
    CHECK_JOB(sending(vm, below(folder, "none"), "/home/bob/none"), VIX_E_FILE_NOT_FOUND);
    CHECK_JOB(sending(vm, below(folder, "sent"), "/etc/sent"), VIX_E_FILE_ACCESS_ERROR);
    CHECK_JOB(fetching(vm, "/home/bob/sent", below(folder, "came")), VIX_OK);
    CHECK_JOB(fetching(vm, "/home/bob/none", below(folder, "none")), VIX_E_FILE_NOT_FOUND);
    CHECK_JOB(fetching(vm, "/etc/shadow", below(folder, "none")), VIX_E_FILE_ACCESS_ERROR);
    CHECK(fopen(below(folder, "none"), "r") == NULL);
    file = fopen(below(folder, "came"), "r");
    CHECK(file != NULL);
    CHECK(fgets(read, sizeof read, file) != NULL);
    fclose(file);
    CHECK_TEXT(read, "from the host");
}

static void variables(VixHandle vm)
{
    const VixPropertyID value = VIX_PROPERTY_JOB_RESULT_VM_VARIABLE_STRING;
    CHECK_JOB(VixVM_WriteVariable(vm, VIX_VM_GUEST_VARIABLE, "said", "hello", 0, NULL, NULL),
              VIX_OK);
    check_told(VixVM_ReadVariable(vm, VIX_VM_GUEST_VARIABLE, "said", 0, NULL, NULL), value, "hello");
    check_told(VixVM_ReadVariable(vm, VIX_VM_GUEST_VARIABLE, "none", 0, NULL, NULL), value, "");
    check_told(VixVM_ReadVariable(vm, VIX_GUEST_ENVIRONMENT_VARIABLE, "HOME", 0, NULL, NULL), value,
               "/home/bob");
    CHECK_JOB(VixVM_WriteVariable(vm, VIX_GUEST_ENVIRONMENT_VARIABLE, "LAB", "red", 0, NULL, NULL),
              VIX_E_GUEST_USER_PERMISSIONS);
    CHECK_JOB(logging_in(vm, "root", "root-secret"), VIX_OK);
    CHECK_JOB(VixVM_WriteVariable(vm, VIX_GUEST_ENVIRONMENT_VARIABLE, "LAB", "blue", 0, NULL, NULL),
              VIX_OK);
    CHECK_JOB(logging_in(vm, "bob", "bob-secret"), VIX_OK);
    ran(program(vm, "/bin/sh", "-c 'test $LAB = blue'"), 0);
}

static void screen(VixHandle vm)
{
    unsigned char *image = NULL;
    int bytes = 0;
    VixHandle job =
        VixVM_CaptureScreenImage(vm, VIX_CAPTURESCREENFORMAT_PNG, NONE, NULL, NULL);
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_DATA, &bytes, &image,
                            VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK(bytes > 100);
    CHECK(memcmp(image, "\211PNG\r\n\032\n", 8) == 0);
    Vix_FreeBuffer(image);
    Vix_ReleaseHandle(job);
}

static void guest_operations(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle other;
    CHECK_JOB(logging_in(vm, "bob", "bob-secret"), VIX_E_VM_NOT_RUNNING);
    CHECK_JOB(starting(vm), VIX_OK);
    before_tools(vm);
    logins(vm);
    programs(vm);
    processes(vm);
    files(vm);
    copies(vm, args[1]);
    variables(vm);
    screen(vm);
    /* A login is the handle's own. */
    other = open_vm(host, args[0]);
    CHECK_JOB(program(other, "/bin/true", ""), VIX_E_CANNOT_AUTHENTICATE_WITH_GUEST);
    Vix_ReleaseHandle(other);
    CHECK_JOB(VixVM_LogoutFromGuest(vm, NULL, NULL), VIX_OK);
    CHECK_JOB(program(vm, "/bin/true", ""), VIX_E_CANNOT_AUTHENTICATE_WITH_GUEST);
    CHECK_JOB(VixVM_PowerOff(vm, VIX_VMPOWEROP_FROM_GUEST, NULL, NULL), VIX_OK);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_POWER_STATE), VIX_POWERSTATE_POWERED_OFF);
    Vix_ReleaseHandle(vm);
}

static const Test TESTS[] = {{"guest_operations", guest_operations}, {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
