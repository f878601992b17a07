/*
 * acts.cpp: every method of every interface, called at least once, and one line of what it answered.
 * The C library's lines are those of its functions for the same.
 *
 * acts VMX FOLDER
 *
 * The VM is off, has no snapshot and no system on its disk. Clones go into FOLDER.
 */
#include "binding.h"

static void line(const char *what, const std::string &answer)
{
    printf("%s: %s\n", what, answer.c_str());
    fflush(stdout);
}

static void show(const char *what, Error error)
{
    line(what, number(error));
}

/* Ends a job and shows how it ended; `ids` are results of it to be shown, ended by 0. */
static Job show_job(const char *what, const Job &job, std::initializer_list<int> ids = {})
{
    std::string answer = number(wait(job));
    for (int id : ids) {
        answer += ", " + std::to_string(id) + " = " + property(job, id);
    }
    line(what, answer);
    return job;
}

#define SHOW_VM(interface, method, ...) show_job(interface "." #method, VM_JOB(vm, method, __VA_ARGS__))
#define VM(method, ...) SHOW_VM("IVM", method, __VA_ARGS__)
#define VM2(method, ...) SHOW_VM("IVM2", method, __VA_ARGS__)

/* Of an object of each kind: its type, the properties `ids`, and that it is itself alone. */
template <class One, class Other>
void show_handle(const char *kind, const One &object, const Other &other, std::initializer_list<int> ids)
{
    std::string what = std::string(kind) + " as IVixHandle";
    line((what + ".GetHandleType").c_str(), std::to_string(handle_type(object)));
    for (int id : ids) {
        Number type = 0;
        Error error = property_type(object, id, &type);
        line((what + ".GetPropertyType").c_str(), number(error) + ", " + std::to_string(type));
        line((what + ".GetProperties").c_str(), property(object, id));
    }
    line((what + ".Equals").c_str(), same(object, object) && !same(object, other) ? "itself alone" : "wrong");
}

static void library_acts()
{
    for (Error error : {0ull, 1ull, 3007ull, 5ull << 32 | 3007ull, 999999ull}) {
        line("IVixLib.GetErrorText", error_text(error));
        line("IVixLib.ErrorCode", std::to_string(error_code(error)));
        line("IVixLib.ErrorIndicatesSuccess", is_success(error) ? "true" : "false");
        line("IVixLib.ErrorIndicatesFailure", is_failure(error) ? "true" : "false");
    }
    for (int provider : {VIX_SERVICEPROVIDER_DEFAULT, VIX_SERVICEPROVIDER_VMWARE_SERVER,
                         VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, VIX_SERVICEPROVIDER_VMWARE_PLAYER}) {
        show_job("IVixLib.Connect", connecting(provider, 0, NO_CALLBACK), {VIX_PROPERTY_JOB_RESULT_HANDLE});
    }
}

static void host_acts(const Host &host, const char *vmx)
{
    show_job("IHost.RegisterVM", HOST_JOB(host, RegisterVM, T(vmx), NO_CALLBACK));
    Listener listener;
    Job find = HOST_JOB(host, FindItems, VIX_FIND_REGISTERED_VMS, NO_LIST, -1, CALL(listener));
    Told told = listener.await(find);
    line("ICallback.OnVixEvent", number(told.error) + ", found " + told.found + std::to_string(told.completed) +
                                     " completed, " + std::to_string(told.wrong) + " wrong");
    show_job("IHost.FindItems", find);
    line("IJob.GetNumProperties", std::to_string(record_count(find, VIX_PROPERTY_FOUND_ITEM_LOCATION)));
    for (int index : {0, 1, -1}) {
        line("IJob.GetNthProperties", record(find, index, VIX_PROPERTY_FOUND_ITEM_LOCATION));
    }
    show_job("IHost.UnregisterVM", HOST_JOB(host, UnregisterVM, T(vmx), NO_CALLBACK));
    show_job("IHost.UnregisterVM", HOST_JOB(host, UnregisterVM, T(vmx), NO_CALLBACK));
    show_job("IHost.OpenVM", HOST_JOB(host, OpenVM, T(vmx), NO_CALLBACK), {VIX_PROPERTY_JOB_RESULT_HANDLE});
    show_job("IHost.OpenVM", HOST_JOB(host, OpenVM, NO_TEXT, NO_CALLBACK), {VIX_PROPERTY_JOB_RESULT_HANDLE});
    show_job("IHost.OpenVM", HOST_JOB(host, OpenVM, T(""), NO_CALLBACK));
    show_job("IHost2.OpenVMEx", HOST_JOB(host, OpenVMEx, T(vmx), VIX_VMOPEN_NORMAL, NO_LIST, NO_CALLBACK));
    show_job("IHost2.OpenVMEx", HOST_JOB(host, OpenVMEx, T(vmx), 77, NO_LIST, NO_CALLBACK));
}

static void job_acts(const Job &job)
{
    bool complete = false;
    show("IJob.Wait", wait(job));
    line("IJob.Wait", property(result_of<Vm>(job), VIX_PROPERTY_VM_NAME));
    show("IJob.WaitWithoutResults", wait(job));
    show("IJob.CheckCompletion", check_completion(job, &complete));
    line("IJob.CheckCompletion", complete ? "complete" : "incomplete");
    show("IJob.GetError", job_error(job));
    line("IJob.GetNumProperties", std::to_string(record_count(job, VIX_PROPERTY_JOB_RESULT_HANDLE)));
    line("IJob.GetNumProperties", std::to_string(record_count(job, VIX_PROPERTY_FOUND_ITEM_LOCATION)));
}

/* Takes two snapshots, one on the other, and looks at them. */
static void snapshot_acts(const Vm &vm)
{
    Number count = -1;
    Snapshot root, child, found;
    show("IVM.GetCurrentSnapshot", VM_GET(vm, GetCurrentSnapshot, found.out()));
    for (const char *name : {"one", "two"}) {
        show_job("IVM.CreateSnapshot", VM_JOB(vm, CreateSnapshot, T(name), T("of a test"), 0, NO_LIST, NO_CALLBACK),
                 {VIX_PROPERTY_JOB_RESULT_HANDLE});
    }
    VM(CreateSnapshot, NO_TEXT, NO_TEXT, VIX_SNAPSHOT_INCLUDE_MEMORY | 64, NO_LIST, NO_CALLBACK);
    show("IVM.GetNumRootSnapshots", VM_GET(vm, GetNumRootSnapshots, &count));
    line("IVM.GetNumRootSnapshots", std::to_string(count));
    show("IVM.GetRootSnapshot", VM_GET(vm, GetRootSnapshot, 1, found.out()));
    show("IVM.GetRootSnapshot", VM_GET(vm, GetRootSnapshot, 0, root.out()));
    show("ISnapshot.GetNumChildren", SNAPSHOT_GET(root, GetNumChildren, &count));
    line("ISnapshot.GetNumChildren", std::to_string(count));
    show("ISnapshot.GetChild", SNAPSHOT_GET(root, GetChild, 7, found.out()));
    show("ISnapshot.GetChild", SNAPSHOT_GET(root, GetChild, 0, child.out()));
    show("ISnapshot.GetParent", SNAPSHOT_GET(root, GetParent, found.out()));
    show("ISnapshot.GetParent", SNAPSHOT_GET(child, GetParent, found.out()));
    line("ISnapshot.GetParent", property(found, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME));
    show_handle("snapshot", child, root,
                {VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, VIX_PROPERTY_SNAPSHOT_DESCRIPTION,
                 VIX_PROPERTY_SNAPSHOT_POWERSTATE, VIX_PROPERTY_VM_NAME});
    show("IVM.GetNamedSnapshot", VM_GET(vm, GetNamedSnapshot, T("no"), found.out()));
    show("IVM.GetNamedSnapshot", VM_GET(vm, GetNamedSnapshot, NO_TEXT, found.out()));
    show("IVM.GetNamedSnapshot", VM_GET(vm, GetNamedSnapshot, T("one/two"), found.out()));
    VM(RevertToSnapshot, root, 0, NO_LIST, NO_CALLBACK);
    show("IVM.GetCurrentSnapshot", VM_GET(vm, GetCurrentSnapshot, found.out()));
    line("IVM.GetCurrentSnapshot", property(found, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME));
    VM(RemoveSnapshot, child, 0, NO_CALLBACK);
    VM(RemoveSnapshot, NO_SNAPSHOT, 0, NO_CALLBACK);
    VM(RevertToSnapshot, NO_SNAPSHOT, 0, NO_LIST, NO_CALLBACK);
    close(found);
    line("IVixHandle2.Close", "done");
}

/* What a VM with a living linked clone refuses. */
static void parent_acts(const Vm &vm, const std::string &folder)
{
    std::string path = folder + "/clone-2/clone.vmx";
    Snapshot base;
    VM(Delete, VIX_VMDELETE_DISK_FILES, NO_CALLBACK);
    show("IVM.GetNamedSnapshot", VM_GET(vm, GetNamedSnapshot, T("one/Clone"), base.out()));
    VM(RemoveSnapshot, base, 0, NO_CALLBACK);
    VM2(Clone, NO_SNAPSHOT, VIX_CLONETYPE_LINKED, T(path.c_str()), 0, NO_LIST, NO_CALLBACK);
    show("IVM.GetNamedSnapshot", VM_GET(vm, GetNamedSnapshot, T("Clone"), base.out()));
}

static void clone_acts(const Host &host, const Vm &vm, const std::string &folder)
{
    for (int type : {VIX_CLONETYPE_FULL, VIX_CLONETYPE_LINKED}) {
        std::string path = folder + "/clone-" + std::to_string(type) + "/clone.vmx";
        Job job = VM_JOB(vm, Clone, NO_SNAPSHOT, type, T(path.c_str()), 0, NO_LIST, NO_CALLBACK);
        show_job("IVM2.Clone", job, {VIX_PROPERTY_JOB_RESULT_HANDLE});
        Vm clone = result_of<Vm>(job);
        line("IVM2.Clone", property(clone, VIX_PROPERTY_VM_VMX_PATHNAME));
        if (type == VIX_CLONETYPE_LINKED) {
            parent_acts(vm, folder);
        }
        show_job("IVM.Delete", VM_JOB(clone, Delete, VIX_VMDELETE_DISK_FILES, NO_CALLBACK));
        show_job("IVM.Delete", VM_JOB(clone, Delete, VIX_VMDELETE_DISK_FILES, NO_CALLBACK));
        show_job("IHost.OpenVM", HOST_JOB(host, OpenVM, T(path.c_str()), NO_CALLBACK));
    }
    VM2(Clone, NO_SNAPSHOT, VIX_CLONETYPE_FULL, NO_TEXT, 0, NO_LIST, NO_CALLBACK);
}

static void power_acts(const Vm &vm)
{
    VM(PowerOff, VIX_VMPOWEROP_NORMAL, NO_CALLBACK);
    VM(PowerOn, VIX_VMPOWEROP_NORMAL, NO_LIST, NO_CALLBACK);
    line("power", property(vm, VIX_PROPERTY_VM_POWER_STATE));
    VM2(Pause, 0, NO_LIST, NO_CALLBACK);
    line("power", property(vm, VIX_PROPERTY_VM_POWER_STATE));
    VM2(Unpause, 0, NO_LIST, NO_CALLBACK);
    VM(Reset, VIX_VMPOWEROP_NORMAL, NO_CALLBACK);
    VM(WriteVariable, VIX_VM_GUEST_VARIABLE, T("name"), T("\xc3\xbc \xe2\x82\xac"), 0, NO_CALLBACK);
    show_job("IVM.ReadVariable", VM_JOB(vm, ReadVariable, VIX_VM_GUEST_VARIABLE, T("name"), 0, NO_CALLBACK),
             {VIX_PROPERTY_JOB_RESULT_VM_VARIABLE_STRING});
    VM(ReadVariable, 99, NO_TEXT, 0, NO_CALLBACK);
    VM(Suspend, 0, NO_CALLBACK);
    VM2(CaptureScreenImage, VIX_CAPTURESCREENFORMAT_PNG, NO_LIST, NO_CALLBACK);
    VM(Delete, 0, NO_CALLBACK);
}

static void guest_acts(const Vm &vm)
{
    VM(WaitForToolsInGuest, 1, NO_CALLBACK);
    VM(LoginInGuest, T("user"), T("password"), 0, NO_CALLBACK);
    VM(LogoutFromGuest, NO_CALLBACK);
    VM(RunProgramInGuest, T("/bin/true"), NO_TEXT, 0, NO_LIST, NO_CALLBACK);
    VM(ListProcessesInGuest, 0, NO_CALLBACK);
    VM(KillProcessInGuest, 4242ull, 0, NO_CALLBACK);
    VM(RunScriptInGuest, T("/bin/sh"), T("true"), 0, NO_LIST, NO_CALLBACK);
    VM(OpenUrlInGuest, T("http://localhost/"), 0, NO_LIST, NO_CALLBACK);
    VM(CopyFileFromHostToGuest, T("/a"), T("/b"), 0, NO_LIST, NO_CALLBACK);
    VM(CopyFileFromGuestToHost, T("/b"), T("/a"), 0, NO_LIST, NO_CALLBACK);
    VM(DeleteFileInGuest, T("/a"), NO_CALLBACK);
    VM(FileExistsInGuest, T("/a"), NO_CALLBACK);
    VM(RenameFileInGuest, T("/a"), T("/b"), 0, NO_LIST, NO_CALLBACK);
    VM(CreateTempFileInGuest, 0, NO_LIST, NO_CALLBACK);
    VM(ListDirectoryInGuest, T("/"), 0, NO_CALLBACK);
    VM(CreateDirectoryInGuest, T("/a"), NO_LIST, NO_CALLBACK);
    VM(DeleteDirectoryInGuest, T("/a"), 0, NO_CALLBACK);
    VM(DirectoryExistsInGuest, T("/a"), NO_CALLBACK);
    VM2(GetFileInfoInGuest, T("/a"), NO_CALLBACK);
}

static void other_acts(const Vm &vm)
{
    VM(AddSharedFolder, T("share"), T("/tmp"), VIX_SHAREDFOLDER_WRITE_ACCESS, NO_CALLBACK);
    VM(AddSharedFolder, T("share"), T("/tmp"), 0, NO_CALLBACK);
    show_job("IVM.GetNumSharedFolders", VM_JOB(vm, GetNumSharedFolders, NO_CALLBACK),
             {VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_COUNT});
    show_job("IVM.GetSharedFolderState", VM_JOB(vm, GetSharedFolderState, 0, NO_CALLBACK),
             {VIX_PROPERTY_JOB_RESULT_ITEM_NAME, VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_FLAGS});
    VM(SetSharedFolderState, T("share"), T("/tmp"), 0, NO_CALLBACK);
    VM(EnableSharedFolders, YES, 0, NO_CALLBACK);
    VM(RemoveSharedFolder, T("share"), 0, NO_CALLBACK);
    VM(RemoveSharedFolder, T("share"), 0, NO_CALLBACK);
    VM(InstallTools, 0, NO_TEXT, NO_CALLBACK);
    VM2(BeginRecording, T("name"), T("description"), 0, NO_LIST, NO_CALLBACK);
    VM2(EndRecording, 0, NO_LIST, NO_CALLBACK);
    VM2(BeginReplay, NO_SNAPSHOT, 0, NO_LIST, NO_CALLBACK);
    VM2(EndReplay, 0, NO_LIST, NO_CALLBACK);
}

/* A host whose jobs wait for the event pump. */
static void pump_acts()
{
    Listener listener;
    Job job = connecting(VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, VIX_HOSTOPTION_USE_EVENT_PUMP, CALL(listener));
    Host host = made_by<Host>("connect", job);
    pump_events(host);
    Told told = listener.await(job);
    line("IHost.PumpEvents", std::to_string(told.completed) + " completed, " + std::to_string(told.wrong) + " wrong");
    disconnect(host);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    library_acts();
    Host host = here();
    host_acts(host, argv[1]);
    Job opening = HOST_JOB(host, OpenVM, T(argv[1]), NO_CALLBACK);
    Vm vm = made_by<Vm>("open", opening);
    job_acts(opening);
    show_handle("host", host, vm, {VIX_PROPERTY_HOST_HOSTTYPE, VIX_PROPERTY_HOST_API_VERSION, VIX_PROPERTY_VM_NAME});
    show_handle("job", opening, vm,
                {VIX_PROPERTY_JOB_RESULT_ERROR_CODE, VIX_PROPERTY_JOB_RESULT_HANDLE, VIX_PROPERTY_VM_NAME});
    show_handle("vm", vm, host,
                {VIX_PROPERTY_VM_NAME, VIX_PROPERTY_VM_NUM_VCPUS, VIX_PROPERTY_VM_VMX_PATHNAME,
                 VIX_PROPERTY_VM_VMTEAM_PATHNAME, VIX_PROPERTY_VM_MEMORY_SIZE, VIX_PROPERTY_VM_READ_ONLY,
                 VIX_PROPERTY_VM_IN_VMTEAM, VIX_PROPERTY_VM_POWER_STATE, VIX_PROPERTY_VM_TOOLS_STATE,
                 VIX_PROPERTY_VM_IS_RUNNING, VIX_PROPERTY_VM_SUPPORTED_FEATURES,
                 VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, VIX_PROPERTY_NONE, 123456});
    snapshot_acts(vm);
    clone_acts(host, vm, argv[2]);
    power_acts(vm);
    guest_acts(vm);
    other_acts(vm);
    VM(PowerOff, VIX_VMPOWEROP_NORMAL, NO_CALLBACK);
    VM(UpgradeVirtualHardware, 0, NO_CALLBACK);
    pump_acts();
    disconnect(host);
    line("IHost.Disconnect", "done");
    return 0;
}
