/*
 * power_edges.cpp: what comes of operations on a VM in one power state; a line for each: its error, and
 * the state after it.
 *
 * power_edges VMX CLONE STATE OPERATION...
 *
 * The VM is off and has no snapshot; operations are called as in the table of power. A clone goes to the path
 * CLONE.
 */
#include "binding.h"

static int power_of(const Vm &vm)
{
    return atoi(property(vm, VIX_PROPERTY_VM_POWER_STATE).c_str());
}

/* Returns the word for a VM's power state. */
static std::string state_of(const Vm &vm)
{
    int state = power_of(vm);
    if (state & VIX_POWERSTATE_PAUSED) {
        return "paused";
    }
    if (state & VIX_POWERSTATE_POWERED_ON) {
        return "on";
    }
    return state & VIX_POWERSTATE_SUSPENDED ? "suspended" : "off";
}

static Job starting(const Vm &vm)
{
    return VM_JOB(vm, PowerOn, VIX_VMPOWEROP_NORMAL, NO_LIST, NO_CALLBACK);
}

static Job stopping(const Vm &vm)
{
    return VM_JOB(vm, PowerOff, VIX_VMPOWEROP_NORMAL, NO_CALLBACK);
}

static Job taking(const Vm &vm, const char *name, int options)
{
    return VM_JOB(vm, CreateSnapshot, T(name), T(""), options, NO_LIST, NO_CALLBACK);
}

/* Brings a VM to a state, by what must work. */
static void bring_to(const Vm &vm, const std::string &state)
{
    for (std::string now; (now = state_of(vm)) != state;) {
        if (now == "off" || now == "suspended") {
            succeed("start", wait(starting(vm)));
        } else if (state == "off") {
            succeed("stop", wait(stopping(vm)));
        } else if (now == "paused") {
            succeed("unpause", wait(VM_JOB(vm, Unpause, 0, NO_LIST, NO_CALLBACK)));
        } else if (state == "paused") {
            succeed("pause", wait(VM_JOB(vm, Pause, 0, NO_LIST, NO_CALLBACK)));
        } else {
            succeed("suspend", wait(VM_JOB(vm, Suspend, VIX_VMPOWEROP_NORMAL, NO_CALLBACK)));
        }
    }
}

/* Makes the snapshots of the table; the VM runs then. */
static void prepare(const Vm &vm)
{
    succeed("cold", wait(taking(vm, "cold", 0)));
    succeed("spare", wait(taking(vm, "spare", 0)));
    succeed("start", wait(starting(vm)));
    succeed("live", wait(taking(vm, "live", VIX_SNAPSHOT_INCLUDE_MEMORY)));
}

static Snapshot snapshot_of(const Vm &vm, const char *name)
{
    Snapshot found;
    succeed(name, VM_GET(vm, GetNamedSnapshot, T(name), found.out()));
    return found;
}

static Job going_back(const Vm &vm, const char *name, int options)
{
    return VM_JOB(vm, RevertToSnapshot, snapshot_of(vm, name), options, NO_LIST, NO_CALLBACK);
}

/* Starts a clone of the snapshot that ends the operation's name, `-cold` or `-live`, else of now. */
static Job cloning(const Vm &vm, const std::string &operation, const char *path)
{
    int type = operation.rfind("clone-full", 0) == 0 ? VIX_CLONETYPE_FULL : VIX_CLONETYPE_LINKED;
    Snapshot snapshot;
    for (const char *name : {"cold", "live"}) {
        if (operation.find(name) != std::string::npos) {
            snapshot = snapshot_of(vm, name);
        }
    }
    return VM_JOB(vm, Clone, snapshot, type, T(path), 0, NO_LIST, NO_CALLBACK);
}

/* Starts an operation by the table's name for it. */
static Job asking(const Vm &vm, const std::string &operation, const char *path)
{
    int hard = VIX_VMPOWEROP_NORMAL, soft = VIX_VMPOWEROP_FROM_GUEST;
    if (operation == "power-on") {
        return starting(vm);
    }
    if (operation == "power-on-paused") {
        return VM_JOB(vm, PowerOn, VIX_VMPOWEROP_START_VM_PAUSED, NO_LIST, NO_CALLBACK);
    }
    if (operation.rfind("power-off", 0) == 0) {
        return VM_JOB(vm, PowerOff, operation == "power-off-soft" ? soft : hard, NO_CALLBACK);
    }
    if (operation.rfind("reset", 0) == 0) {
        return VM_JOB(vm, Reset, operation == "reset-soft" ? soft : hard, NO_CALLBACK);
    }
    if (operation == "suspend") {
        return VM_JOB(vm, Suspend, hard, NO_CALLBACK);
    }
    if (operation == "pause") {
        return VM_JOB(vm, Pause, 0, NO_LIST, NO_CALLBACK);
    }
    if (operation == "unpause") {
        return VM_JOB(vm, Unpause, 0, NO_LIST, NO_CALLBACK);
    }
    if (operation == "upgrade") {
        return VM_JOB(vm, UpgradeVirtualHardware, 0, NO_CALLBACK);
    }
    if (operation == "delete") {
        return VM_JOB(vm, Delete, VIX_VMDELETE_DISK_FILES, NO_CALLBACK);
    }
    if (operation == "snapshot") {
        return taking(vm, "new", 0);
    }
    if (operation == "snapshot-memory") {
        return taking(vm, "new", VIX_SNAPSHOT_INCLUDE_MEMORY);
    }
    if (operation == "remove-snapshot") {
        return VM_JOB(vm, RemoveSnapshot, snapshot_of(vm, "spare"), 0, NO_CALLBACK);
    }
    if (operation == "revert-live-off") {
        return going_back(vm, "live", VIX_VMPOWEROP_SUPPRESS_SNAPSHOT_POWERON);
    }
    if (operation == "revert-live") {
        return going_back(vm, "live", hard);
    }
    if (operation == "revert-cold") {
        return going_back(vm, "cold", hard);
    }
    return cloning(vm, operation, path);
}

/* A clone is off; it starts, and is deleted. */
static void use_up(const Vm &clone)
{
    if (state_of(clone) != "off") {
        printf("the clone is %s\n", state_of(clone).c_str());
    }
    succeed("start of the clone", wait(starting(clone)));
    succeed("stop of the clone", wait(stopping(clone)));
    succeed("end of the clone", wait(VM_JOB(clone, Delete, VIX_VMDELETE_DISK_FILES, NO_CALLBACK)));
}

static void ask(const Vm &vm, const std::string &state, const std::string &operation, const char *path)
{
    Snapshot spare;
    if (VM_GET(vm, GetNamedSnapshot, T("spare"), spare.out()) != 0) {
        bring_to(vm, "off");
        succeed("spare", wait(taking(vm, "spare", 0)));
    }
    bring_to(vm, state);
    Job job = asking(vm, operation, path);
    Error error = wait(job);
    if (error == 0 && operation.rfind("clone", 0) == 0) {
        use_up(result_of<Vm>(job));
    }
    bool is_gone = error == 0 && operation == "delete";
    printf("%s: %llu %s\n", operation.c_str(), error, is_gone ? "gone" : state_of(vm).c_str());
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        return 2;
    }
    Host host = here();
    Vm vm = made_by<Vm>("open", HOST_JOB(host, OpenVM, T(argv[1]), NO_CALLBACK));
    prepare(vm);
    for (int i = 4; i < argc; i++) {
        ask(vm, argv[3], argv[i], argv[2]);
    }
    if (std::string(argv[argc - 1]) != "delete") {
        bring_to(vm, "off");
    }
    disconnect(host);
    return 0;
}
