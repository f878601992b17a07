/*
 * clone_arguments.c: what VixVM_Clone takes, and what it answers to everything else.
 *
 * Arguments: the base VM's .vmx, a folder for clones, then what a test says.
 */
#include "check.h"

static const VixCloneType TYPES[] = {VIX_CLONETYPE_FULL, VIX_CLONETYPE_LINKED};

/* Clones the present state to `destination` both ways, which must fail with `expected`. */
static void refuses(VixHandle vm, const char *destination, VixError expected)
{
    int i;
    for (i = 0; i < 2; i++) {
        CHECK_JOB(cloning(vm, VIX_INVALID_HANDLE, TYPES[i], destination), expected);
    }
}

/* Clones `snapshot` both ways, which must fail with `expected`. */
static void refuses_snapshot(VixHandle vm,
                             VixHandle snapshot,
                             const char *destination,
                             VixError expected)
{
    int i;
    for (i = 0; i < 2; i++) {
        CHECK_JOB(cloning(vm, snapshot, TYPES[i], destination), expected);
    }
}

static void destination_must_be_absolute(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    refuses(vm, "new.vmx", VIX_E_INVALID_ARG);
    refuses(vm, "new/new.vmx", VIX_E_INVALID_ARG);
    refuses(vm, "./new/new.vmx", VIX_E_INVALID_ARG);
    refuses(vm, "../new.vmx", VIX_E_INVALID_ARG);
    refuses(vm, "c:\\Virtual Machines\\vm2\\ubuntuClone.vmx", VIX_E_INVALID_ARG);
    Vix_ReleaseHandle(vm);
}

static void destination_must_be_given(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    refuses(vm, "", VIX_E_INVALID_ARG);
    refuses(vm, NULL, VIX_E_INVALID_ARG);
    Vix_ReleaseHandle(vm);
}

static void destination_must_end_in_vmx(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    refuses(vm, below(args[1], "new"), VIX_E_FILE_NAME_INVALID);
    refuses(vm, below(args[1], "new/new.vmdk"), VIX_E_FILE_NAME_INVALID);
    refuses(vm, below(args[1], "new/newvmx"), VIX_E_FILE_NAME_INVALID);
    refuses(vm, below(args[1], "new/new.vmx.bak"), VIX_E_FILE_NAME_INVALID);
    refuses(vm, below(args[1], "new/.vmx"), VIX_E_FILE_NAME_INVALID);
    refuses(vm, below(args[1], "new/new.vmx/"), VIX_E_FILE_NAME_INVALID);
    refuses(vm, "/", VIX_E_FILE_NAME_INVALID);
    Vix_ReleaseHandle(vm);
}

/* Third argument: a file, named .vmx, that is there. */
static void destination_must_not_exist(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    refuses(vm, args[0], VIX_E_FILE_ALREADY_EXISTS);
    refuses(vm, args[2], VIX_E_FILE_ALREADY_EXISTS);
    Vix_ReleaseHandle(vm);
}

static void missing_folders_are_made(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    const char *full = below(args[1], "a/b/c/full.vmx");
    const char *linked = below(args[1], "d/e/f/linked.vmx");
    VixHandle clone = MADE_BY(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL, full));
    check_text_of(clone, VIX_PROPERTY_VM_VMX_PATHNAME, full);
    Vix_ReleaseHandle(clone);
    clone = MADE_BY(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_LINKED, linked));
    check_text_of(clone, VIX_PROPERTY_VM_VMX_PATHNAME, linked);
    Vix_ReleaseHandle(clone);
    Vix_ReleaseHandle(vm);
}

/* As in the reference page's example, where every separator is doubled. */
static void doubled_separators_count_as_one(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    const char *doubled = below(args[1], "/twice///twice.vmx");
    VixHandle clone = MADE_BY(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_FULL, doubled));
    check_text_of(clone, VIX_PROPERTY_VM_VMX_PATHNAME, below(args[1], "twice/twice.vmx"));
    Vix_ReleaseHandle(clone);
    refuses(vm, below(args[1], "twice/twice.vmx"), VIX_E_FILE_ALREADY_EXISTS);
    Vix_ReleaseHandle(vm);
}

static void type_must_be_full_or_linked(VixHandle host, char **args)
{
    static const VixCloneType OTHERS[] = {-1, 2, 3, 255, 2147483647};
    VixHandle vm = open_vm(host, args[0]);
    size_t i;
    for (i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        CHECK_JOB(cloning(vm, VIX_INVALID_HANDLE, OTHERS[i], below(args[1], "new/new.vmx")),
                  VIX_E_INVALID_ARG);
    }
    Vix_ReleaseHandle(vm);
}

static void options_must_be_none(VixHandle host, char **args)
{
    static const int BITS[] = {1, 2, 4, 0x200, -1};
    const char *destination = below(args[1], "new/new.vmx");
    VixHandle vm = open_vm(host, args[0]);
    size_t i;
    for (i = 0; i < sizeof BITS / sizeof BITS[0]; i++) {
        CHECK_JOB(VixVM_Clone(vm, VIX_INVALID_HANDLE, TYPES[i % 2], destination, BITS[i],
                              VIX_INVALID_HANDLE, NULL, NULL),
                  VIX_E_INVALID_ARG);
    }
    Vix_ReleaseHandle(vm);
}

static void property_list_must_be_null(VixHandle host, char **args)
{
    const char *destination = below(args[1], "new/new.vmx");
    VixHandle vm = open_vm(host, args[0]);
    VixHandle list = VIX_INVALID_HANDLE;
    VixHandle lists[3];
    int i;
    CHECK_ERROR(VixPropertyList_AllocPropertyList(host, &list, VIX_PROPERTY_NONE), VIX_OK);
    lists[0] = list;
    lists[1] = vm;
    lists[2] = 12345;
    for (i = 0; i < 3; i++) {
        CHECK_JOB(VixVM_Clone(vm, VIX_INVALID_HANDLE, TYPES[i % 2], destination, 0, lists[i],
                              NULL, NULL),
                  VIX_E_INVALID_ARG);
    }
    Vix_ReleaseHandle(list);
    Vix_ReleaseHandle(vm);
}

/* Third argument: another VM, which has a snapshot `cold` as the base VM has. */
static void snapshot_must_be_the_vms_own(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle other = open_vm(host, args[2]);
    VixHandle snapshot = snapshot_named(other, "cold");
    refuses_snapshot(vm, snapshot, below(args[1], "new/new.vmx"), VIX_E_INVALID_ARG);
    Vix_ReleaseHandle(snapshot);
    Vix_ReleaseHandle(other);
    Vix_ReleaseHandle(vm);
}

static void handles_must_be_of_their_type(VixHandle host, char **args)
{
    const char *destination = below(args[1], "new/new.vmx");
    VixHandle vm = open_vm(host, args[0]);
    VixHandle snapshot = snapshot_named(vm, "cold");
    VixHandle stale = open_vm(host, args[0]);
    Vix_ReleaseHandle(stale);
    refuses_snapshot(vm, host, destination, VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    refuses_snapshot(vm, vm, destination, VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    refuses_snapshot(vm, stale, destination, VIX_E_INVALID_HANDLE);
    refuses_snapshot(vm, -1, destination, VIX_E_INVALID_HANDLE);
    refuses(host, destination, VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    refuses(snapshot, destination, VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    refuses(stale, destination, VIX_E_INVALID_HANDLE);
    refuses(VIX_INVALID_HANDLE, destination, VIX_E_INVALID_HANDLE);
    Vix_ReleaseHandle(snapshot);
    Vix_ReleaseHandle(vm);
}

static void destination_must_be_utf8(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    refuses(vm, below(args[1], "n\xff\xfe/new.vmx"), VIX_E_INVALID_UTF8_STRING);
    refuses(vm, below(args[1], "new/n\xc3.vmx"), VIX_E_INVALID_UTF8_STRING);
    Vix_ReleaseHandle(vm);
}

static void destination_may_be_any_text(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    const char *path = below(args[1], "\xc3\xbc\xe2\x82\xac \xe6\x97\xa5/my \xc3\xbc 'clone'.vmx");
    VixHandle clone = MADE_BY(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_LINKED, path));
    check_text_of(clone, VIX_PROPERTY_VM_VMX_PATHNAME, path);
    check_text_of(clone, VIX_PROPERTY_VM_NAME, "my \xc3\xbc 'clone'");
    Vix_ReleaseHandle(clone);
    Vix_ReleaseHandle(vm);
}

static void player_clones_nothing(VixHandle host, char **args)
{
    VixHandle player = connect_to(VIX_SERVICEPROVIDER_VMWARE_PLAYER);
    VixHandle vm = open_vm(player, args[0]);
    (void)host;
    refuses(vm, below(args[1], "new/new.vmx"), VIX_E_NOT_SUPPORTED);
    Vix_ReleaseHandle(vm);
    VixHost_Disconnect(player);
}

/* There is no host of these yet, so no VM to be cloned there. */
static void server_is_not_there(VixHandle host, char **args)
{
    static const VixServiceProvider OTHERS[] = {VIX_SERVICEPROVIDER_VMWARE_SERVER,
                                                VIX_SERVICEPROVIDER_VMWARE_VI_SERVER,
                                                VIX_SERVICEPROVIDER_VMWARE_WORKSTATION_SHARED};
    size_t i;
    (void)host;
    (void)args;
    for (i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++) {
        CHECK_JOB(VixHost_Connect(VIX_API_VERSION, OTHERS[i], NULL, 0, NULL, NULL, 0,
                                  VIX_INVALID_HANDLE, NULL, NULL),
                  VIX_E_WRAPPER_SERVICEPROVIDER_NOT_FOUND);
    }
}

static void default_provider_clones(VixHandle host, char **args)
{
    VixHandle here = connect_to(VIX_SERVICEPROVIDER_DEFAULT);
    VixHandle vm = open_vm(here, args[0]);
    VixHandle clone = MADE_BY(cloning(vm, VIX_INVALID_HANDLE, VIX_CLONETYPE_LINKED,
                                      below(args[1], "new/new.vmx")));
    (void)host;
    Vix_ReleaseHandle(clone);
    Vix_ReleaseHandle(vm);
    VixHost_Disconnect(here);
}

static const Test TESTS[] = {
    {"destination_must_be_absolute", destination_must_be_absolute},
    {"destination_must_be_given", destination_must_be_given},
    {"destination_must_end_in_vmx", destination_must_end_in_vmx},
    {"destination_must_not_exist", destination_must_not_exist},
    {"missing_folders_are_made", missing_folders_are_made},
    {"doubled_separators_count_as_one", doubled_separators_count_as_one},
    {"type_must_be_full_or_linked", type_must_be_full_or_linked},
    {"options_must_be_none", options_must_be_none},
    {"property_list_must_be_null", property_list_must_be_null},
    {"snapshot_must_be_the_vms_own", snapshot_must_be_the_vms_own},
    {"handles_must_be_of_their_type", handles_must_be_of_their_type},
    {"destination_must_be_utf8", destination_must_be_utf8},
    {"destination_may_be_any_text", destination_may_be_any_text},
    {"player_clones_nothing", player_clones_nothing},
    {"server_is_not_there", server_is_not_there},
    {"default_provider_clones", default_provider_clones},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
