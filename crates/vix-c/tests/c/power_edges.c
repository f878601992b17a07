/*
 * power_edges.c: what comes of each operation on a VM in each power state.
 *
 * The table is not here: who runs this says what to ask for, and compares. First argument: the VM's
 * .vmx, then what a test says.
 */
#include "check.h"

#define NO_LIST VIX_INVALID_HANDLE

static int power_state_of(VixHandle vm)
{
    return number_of(vm, VIX_PROPERTY_VM_POWER_STATE);
}

/* Returns the word for a VM's power state. */
static const char *state_of(VixHandle vm)
{
    int state = power_state_of(vm);
    if (state & VIX_POWERSTATE_PAUSED) {
        return "paused";
    }
    if (state & VIX_POWERSTATE_POWERED_ON) {
        return "on";
    }
    return state & VIX_POWERSTATE_SUSPENDED ? "suspended" : "off";
}

static VixHandle pausing(VixHandle vm)
{
    return VixVM_Pause(vm, 0, NO_LIST, NULL, NULL);
}

static VixHandle unpausing(VixHandle vm)
{
    return VixVM_Unpause(vm, 0, NO_LIST, NULL, NULL);
}

static VixHandle suspending(VixHandle vm)
{
    return VixVM_Suspend(vm, VIX_VMPOWEROP_NORMAL, NULL, NULL);
}

static VixHandle saving(VixHandle vm, const char *name)
{
    int options = VIX_SNAPSHOT_INCLUDE_MEMORY;
    return VixVM_CreateSnapshot(vm, name, NULL, options, NO_LIST, NULL, NULL);
}

/* Brings a VM to a state, by what must work. */
static void bring_to(VixHandle vm, const char *state)
{
    const char *now;
    while (strcmp(now = state_of(vm), state) != 0) {
        if (strcmp(now, "off") == 0 || strcmp(now, "suspended") == 0) {
            CHECK_JOB(starting(vm), VIX_OK);
        } else if (strcmp(state, "off") == 0) {
            CHECK_JOB(stopping(vm), VIX_OK);
        } else if (strcmp(now, "paused") == 0) {
            CHECK_JOB(unpausing(vm), VIX_OK);
        } else if (strcmp(state, "paused") == 0) {
            CHECK_JOB(pausing(vm), VIX_OK);
        } else {
            CHECK_JOB(suspending(vm), VIX_OK);
        }
    }
}

/* Makes the snapshots of the table; the VM runs then. */
static void prepare(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    CHECK_JOB(taking(vm, "cold"), VIX_OK);
    CHECK_JOB(taking(vm, "spare"), VIX_OK);
    CHECK_JOB(starting(vm), VIX_OK);
    CHECK_JOB(saving(vm, "live"), VIX_OK);
    Vix_ReleaseHandle(vm);
}

/* Second argument: the state. The snapshot `spare` is there then. */
static void bring(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    VixHandle spare = VIX_INVALID_HANDLE;
    if (VixVM_GetNamedSnapshot(vm, "spare", &spare) != VIX_OK) {
        bring_to(vm, "off");
        CHECK_JOB(taking(vm, "spare"), VIX_OK);
    }
    Vix_ReleaseHandle(spare);
    bring_to(vm, args[1]);
    Vix_ReleaseHandle(vm);
}

/* Starts a clone of the snapshot that ends the operation's name: `-cold`, `-live`, else of now. */
static VixHandle making(VixHandle vm, const char *operation, const char *vmx)
{
    const char *name = strstr(operation, "-cold") != NULL   ? "cold"
                       : strstr(operation, "-live") != NULL ? "live"
                                                            : "-";
    int is_full = strncmp(operation, "clone-full", 10) == 0;
    VixHandle snapshot = snapshot_named(vm, name);
    VixCloneType type = is_full ? VIX_CLONETYPE_FULL : VIX_CLONETYPE_LINKED;
    VixHandle job = cloning(vm, snapshot, type, vmx);
    Vix_ReleaseHandle(snapshot);
    return job;
}

static VixHandle going_back(VixHandle vm, const char *name, int options)
{
    VixHandle snapshot = snapshot_named(vm, name);
    VixHandle job = VixVM_RevertToSnapshot(vm, snapshot, options, NO_LIST, NULL, NULL);
    Vix_ReleaseHandle(snapshot);
    return job;
}

static VixHandle removing(VixHandle vm, const char *name)
{
    VixHandle snapshot = snapshot_named(vm, name);
    VixHandle job = VixVM_RemoveSnapshot(vm, snapshot, 0, NULL, NULL);
    Vix_ReleaseHandle(snapshot);
    return job;
}

/* Starts an operation by the table's name for it; returns the job. */
static VixHandle asking(VixHandle vm, const char *operation, const char *clone)
{
    const char *names[] = {"power-on",       "power-on-paused", "power-off-hard",  "power-off-soft",
                           "reset-hard",     "reset-soft",      "suspend",         "pause",
                           "unpause",        "upgrade",         "delete",          "snapshot",
                           "snapshot-memory", "remove-snapshot", "revert-live-off", "revert-live",
                           "revert-cold",    NULL};
    int paused = VIX_VMPOWEROP_START_VM_PAUSED;
    int soft = VIX_VMPOWEROP_FROM_GUEST;
    int hard = VIX_VMPOWEROP_NORMAL;
    int i = 0;
    while (names[i] != NULL && strcmp(names[i], operation) != 0) {
        i++;
    }
    switch (i) {
    case 0:
        return starting(vm);
    case 1:
        return VixVM_PowerOn(vm, paused, NO_LIST, NULL, NULL);
    case 2:
        return stopping(vm);
    case 3:
        return VixVM_PowerOff(vm, soft, NULL, NULL);
    case 4:
        return VixVM_Reset(vm, hard, NULL, NULL);
    case 5:
        return VixVM_Reset(vm, soft, NULL, NULL);
    case 6:
        return suspending(vm);
    case 7:
        return pausing(vm);
    case 8:
        return unpausing(vm);
    case 9:
        return VixVM_UpgradeVirtualHardware(vm, 0, NULL, NULL);
    case 10:
        return VixVM_Delete(vm, VIX_VMDELETE_DISK_FILES, NULL, NULL);
    case 11:
        return taking(vm, "new");
    case 12:
        return saving(vm, "new");
    case 13:
        return removing(vm, "spare");
    case 14:
        return going_back(vm, "live", VIX_VMPOWEROP_SUPPRESS_SNAPSHOT_POWERON);
    case 15:
        return going_back(vm, "live", hard);
    case 16:
        return going_back(vm, "cold", hard);
    default:
        return making(vm, operation, clone);
    }
}

/* A clone is off; it starts, and is deleted. */
static void use_up(VixHandle host, const char *vmx)
{
    VixHandle clone = open_vm(host, vmx);
    CHECK_TEXT(state_of(clone), "off");
    CHECK_JOB(starting(clone), VIX_OK);
    CHECK_JOB(stopping(clone), VIX_OK);
    CHECK_JOB(VixVM_Delete(clone, VIX_VMDELETE_DISK_FILES, NULL, NULL), VIX_OK);
    Vix_ReleaseHandle(clone);
}

/*
 * Second argument: the operation; third: where a clone goes. Prints the error, and the state in which
 * the VM is then.
 */
static void ask(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    int is_suspended = strcmp(state_of(vm), "suspended") == 0;
    VixHandle job = asking(vm, args[1], args[2]);
    char *message = message_of(job);
    VixError error = VixJob_Wait(job, VIX_PROPERTY_NONE);
    if (error == VIX_OK && strncmp(args[1], "clone", 5) == 0) {
        CHECK((strstr(message, "suspended") != NULL) == is_suspended);
        use_up(host, args[2]);
    }
    Vix_FreeBuffer(message);
    printf("%ld", (long)error);
    if (strcmp(args[1], "delete") != 0 || error != VIX_OK) {
        printf(" %s", state_of(vm));
    }
    printf("\n");
    Vix_ReleaseHandle(job);
    Vix_ReleaseHandle(vm);
}

/* Asks a guest with an agent: VIX's table says that both work. */
static void ask_guest(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    CHECK_JOB(starting(vm), VIX_OK);
    CHECK_JOB(VixVM_WaitForToolsInGuest(vm, 120, NULL, NULL), VIX_OK);
    CHECK_TEXT(state_of(vm), "on");
    CHECK_JOB(VixVM_Reset(vm, VIX_VMPOWEROP_FROM_GUEST, NULL, NULL), VIX_OK);
    CHECK_TEXT(state_of(vm), "on");
    CHECK_JOB(VixVM_WaitForToolsInGuest(vm, 120, NULL, NULL), VIX_OK);
    CHECK_JOB(VixVM_PowerOff(vm, VIX_VMPOWEROP_FROM_GUEST, NULL, NULL), VIX_OK);
    CHECK_NUMBER(power_state_of(vm), VIX_POWERSTATE_POWERED_OFF);
    Vix_ReleaseHandle(vm);
}

static const Test TESTS[] = {{"prepare", prepare},
                             {"bring", bring},
                             {"ask", ask},
                             {"ask_guest", ask_guest},
                             {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
