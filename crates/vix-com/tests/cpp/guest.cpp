/*
 * guest.cpp: what is done in a guest that answers, and one line of what each job came to.
 *
 * guest VMX FOLDER
 *
 * The VM runs, its guest being the Linux test guest. FOLDER is the host's, with a file `sent` in it; a file
 * `came` is made there.
 */
#include "binding.h"

static void line(const char *what, const std::string &answer)
{
    printf("%s: %s\n", what, answer.c_str());
    fflush(stdout);
}

/* Ends a job and shows how it ended; `ids` are results of it to be shown. */
static Job show_job(const char *what, const Job &job, std::initializer_list<int> ids = {})
{
    std::string answer = number(wait(job));
    for (int id : ids) {
        answer += ", " + std::to_string(id) + " = " + property(job, id);
    }
    line(what, answer);
    return job;
}

#define VM(method, ...) show_job(#method, VM_JOB(vm, method, __VA_ARGS__))
#define RUN(path, arguments) \
    show_job("RunProgramInGuest", VM_JOB(vm, RunProgramInGuest, T(path), T(arguments), 0, NO_LIST, NO_CALLBACK), \
             {VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_EXIT_CODE})
#define SCRIPT(shell, text) \
    show_job("RunScriptInGuest", VM_JOB(vm, RunScriptInGuest, T(shell), T(text), 0, NO_LIST, NO_CALLBACK), \
             {VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_EXIT_CODE})
#define EXISTS(method, path) \
    show_job(#method, VM_JOB(vm, method, T(path), NO_CALLBACK), {VIX_PROPERTY_JOB_RESULT_GUEST_OBJECT_EXISTS})

static void logins(const Vm &vm)
{
    VM(WaitForToolsInGuest, 120, NO_CALLBACK);
    line("tools", property(vm, VIX_PROPERTY_VM_TOOLS_STATE));
    line("power", property(vm, VIX_PROPERTY_VM_POWER_STATE));
    RUN("/bin/true", "");
    VM(LoginInGuest, T("alice"), T("wrong"), 0, NO_CALLBACK);
    VM(LoginInGuest, T("alice"), T(""), 0, NO_CALLBACK);
    VM(LoginInGuest, T("locked"), T("locked-secret"), 0, NO_CALLBACK);
    VM(LoginInGuest, T("alice"), T("alice-secret"), VIX_LOGIN_IN_GUEST_REQUIRE_INTERACTIVE_ENVIRONMENT, NO_CALLBACK);
    RUN("/bin/true", "");
    VM(LoginInGuest, T("alice"), T("alice-secret"), 0, NO_CALLBACK);
}

/* The number of a process that does not end by itself. */
static unsigned long long begin(const Vm &vm)
{
    Job job = VM_JOB(vm, RunProgramInGuest, T("/bin/sleep"), T("608"), VIX_RUNPROGRAM_RETURN_IMMEDIATELY, NO_LIST,
                     NO_CALLBACK);
    succeed("begin", wait(job));
    return strtoull(property(job, VIX_PROPERTY_JOB_RESULT_PROCESS_ID).c_str(), nullptr, 10);
}

/* How many processes have this command. */
static int count(const Vm &vm, const char *command)
{
    Job list = VM_JOB(vm, ListProcessesInGuest, 0, NO_CALLBACK);
    succeed("list", wait(list));
    int found = 0;
    for (int i = 0; i < record_count(list, VIX_PROPERTY_JOB_RESULT_ITEM_NAME); i++) {
        found += record(list, i, VIX_PROPERTY_JOB_RESULT_PROCESS_COMMAND) == quoted(command);
    }
    return found;
}

static void programs(const Vm &vm)
{
    RUN("/bin/true", "");
    RUN("/bin/sh", "-c 'exit 7'");
    RUN("/no/such/program", "");
    RUN("/etc/passwd", "");
    SCRIPT("/bin/sh", "printf '\xc3\xbc' >/home/alice/said; exit 3");
    SCRIPT("/no/such/shell", "true");
    Listener listener;
    Job job = VM_JOB(vm, RunProgramInGuest, T("/bin/false"), T(""), 0, NO_LIST, CALL(listener));
    Told told = listener.await(job);
    line("called", number(told.error) + ", " + std::to_string(told.completed) + " completed, " +
                       std::to_string(told.wrong) + " wrong, " +
                       property(job, VIX_PROPERTY_JOB_RESULT_GUEST_PROGRAM_EXIT_CODE));

    unsigned long long pid = begin(vm);
    line("running", std::to_string(count(vm, "/bin/sleep 608")) + " of " + std::to_string(count(vm, "kthreadd")));
    VM(KillProcessInGuest, pid, 0, NO_CALLBACK);
    line("running", std::to_string(count(vm, "/bin/sleep 608")));
    VM(KillProcessInGuest, pid, 0, NO_CALLBACK);
    VM(KillProcessInGuest, 1ull, 0, NO_CALLBACK);
}

static void files(const Vm &vm, const std::string &folder)
{
    EXISTS(FileExistsInGuest, "/home/alice/said");
    EXISTS(FileExistsInGuest, "/home/alice");
    EXISTS(DirectoryExistsInGuest, "/home/alice");
    EXISTS(DirectoryExistsInGuest, "/none");
    show_job("GetFileInfoInGuest", VM_JOB(vm, GetFileInfoInGuest, T("/home/alice/said"), NO_CALLBACK),
             {VIX_PROPERTY_JOB_RESULT_FILE_SIZE, VIX_PROPERTY_JOB_RESULT_FILE_FLAGS});
    VM(CreateDirectoryInGuest, T("/home/alice/a"), NO_LIST, NO_CALLBACK);
    VM(CreateDirectoryInGuest, T("/etc/a"), NO_LIST, NO_CALLBACK);
    VM(RenameFileInGuest, T("/home/alice/said"), T("/home/alice/a/\xc3\xbc"), 0, NO_LIST, NO_CALLBACK);
    Job list = VM_JOB(vm, ListDirectoryInGuest, T("/home/alice/a"), 0, NO_CALLBACK);
    show_job("ListDirectoryInGuest", list);
    line("entries", std::to_string(record_count(list, VIX_PROPERTY_JOB_RESULT_ITEM_NAME)) + ": " +
                        record(list, 0, VIX_PROPERTY_JOB_RESULT_ITEM_NAME));
    VM(ListDirectoryInGuest, T("/none"), 0, NO_CALLBACK);
    VM(ListDirectoryInGuest, T("/home/bob"), 0, NO_CALLBACK);
    VM(DeleteFileInGuest, T("/home/alice/a/\xc3\xbc"), NO_CALLBACK);
    VM(DeleteFileInGuest, T("/home/alice/a/\xc3\xbc"), NO_CALLBACK);
    VM(DeleteFileInGuest, T("/home/alice/a"), NO_CALLBACK);
    VM(DeleteDirectoryInGuest, T("/home/alice/a"), 0, NO_CALLBACK);
    VM(DeleteDirectoryInGuest, T("/home/alice/a"), 0, NO_CALLBACK);
    Job temporary = VM_JOB(vm, CreateTempFileInGuest, 0, NO_LIST, NO_CALLBACK);
    show_job("CreateTempFileInGuest", temporary);
    std::string path = property(temporary, VIX_PROPERTY_JOB_RESULT_ITEM_NAME);
    line("temporary", path.substr(0, 6));

    std::string sent = folder + "/sent", came = folder + "/came", none = folder + "/none";
    VM(CopyFileFromHostToGuest, T(sent.c_str()), T("/home/alice/sent"), 0, NO_LIST, NO_CALLBACK);
    VM(CopyFileFromHostToGuest, T(none.c_str()), T("/home/alice/none"), 0, NO_LIST, NO_CALLBACK);
    VM(CopyFileFromGuestToHost, T("/home/alice/sent"), T(came.c_str()), 0, NO_LIST, NO_CALLBACK);
    VM(CopyFileFromGuestToHost, T("/etc/shadow"), T(none.c_str()), 0, NO_LIST, NO_CALLBACK);
    VM(DeleteFileInGuest, T("/home/alice/sent"), NO_CALLBACK);
}

#define READ(kind, name) \
    show_job("ReadVariable", VM_JOB(vm, ReadVariable, kind, T(name), 0, NO_CALLBACK), \
             {VIX_PROPERTY_JOB_RESULT_VM_VARIABLE_STRING})

static void others(const Vm &vm)
{
    VM(WriteVariable, VIX_VM_GUEST_VARIABLE, T("said"), T("\xe2\x82\xac"), 0, NO_CALLBACK);
    READ(VIX_VM_GUEST_VARIABLE, "said");
    READ(VIX_GUEST_ENVIRONMENT_VARIABLE, "HOME");
    VM(WriteVariable, VIX_GUEST_ENVIRONMENT_VARIABLE, T("LAB"), T("red"), 0, NO_CALLBACK);
    VM(CaptureScreenImage, VIX_CAPTURESCREENFORMAT_PNG, NO_LIST, NO_CALLBACK);
    VM(LogoutFromGuest, NO_CALLBACK);
    RUN("/bin/true", "");
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    Host host = here();
    Vm vm = made_by<Vm>("open", HOST_JOB(host, OpenVM, T(argv[1]), NO_CALLBACK));
    logins(vm);
    programs(vm);
    files(vm, argv[2]);
    others(vm);
    disconnect(host);
    return 0;
}
