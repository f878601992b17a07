/*
 * clone_states.c: what may be cloned: state of the VM, type of the clone, snapshot.
 *
 * The base VM has a snapshot `cold`, taken while it was off, and another on it: `live`, taken with
 * memory, or `later`, taken while it was off, too. Arguments: the base VM's .vmx, a folder for
 * clones, then what a test says.
 */
#include "check.h"

#define FULL VIX_CLONETYPE_FULL
#define LINKED VIX_CLONETYPE_LINKED
#define RUNNING VIX_E_VM_IS_RUNNING
#define LOCKED VIX_E_FILE_ALREADY_LOCKED

/* One line of the table; the snapshot "-" is none: the present state. */
typedef struct Row {
    const char *state;
    VixCloneType type;
    const char *snapshot;
    VixError expected;
} Row;

static const Row ROWS[] = {
    {"off", FULL, "-", VIX_OK},
    {"off", FULL, "cold", VIX_OK},
    {"off", FULL, "live", RUNNING},
    {"off", LINKED, "-", VIX_OK},
    {"off", LINKED, "cold", VIX_OK},
    {"off", LINKED, "live", RUNNING},

    {"suspended", FULL, "-", VIX_OK},
    {"suspended", FULL, "cold", VIX_OK},
    {"suspended", FULL, "live", RUNNING},
    {"suspended", LINKED, "-", RUNNING},
    {"suspended", LINKED, "cold", RUNNING},
    {"suspended", LINKED, "live", RUNNING},

    {"on", FULL, "-", RUNNING},
    {"on", FULL, "cold", RUNNING},
    {"on", FULL, "live", RUNNING},
    {"on", LINKED, "-", RUNNING},
    {"on", LINKED, "cold", VIX_OK},
    {"on", LINKED, "live", RUNNING},

    {"paused", FULL, "-", RUNNING},
    {"paused", FULL, "cold", RUNNING},
    {"paused", FULL, "live", RUNNING},
    {"paused", LINKED, "-", RUNNING},
    {"paused", LINKED, "cold", VIX_OK},
    {"paused", LINKED, "live", RUNNING},

    /* VMware runs it. */
    {"foreign", FULL, "-", RUNNING},
    {"foreign", FULL, "cold", RUNNING},
    {"foreign", FULL, "live", RUNNING},
    {"foreign", LINKED, "-", RUNNING},
    {"foreign", LINKED, "cold", RUNNING},
    {"foreign", LINKED, "live", RUNNING},

    /* VMware only holds it. */
    {"locked", FULL, "-", LOCKED},
    {"locked", FULL, "cold", LOCKED},
    {"locked", FULL, "live", LOCKED},
    {"locked", LINKED, "-", LOCKED},
    {"locked", LINKED, "cold", LOCKED},
    {"locked", LINKED, "live", LOCKED},

    /* VMs that cannot be cloned at all: a disk was written behind the back of its child. */
    {"touched", FULL, "-", VIX_E_DISK_CID_MISMATCH},
    {"touched", FULL, "later", VIX_E_DISK_CID_MISMATCH},
    {"touched", LINKED, "-", VIX_E_DISK_CID_MISMATCH},
    {"touched", LINKED, "later", VIX_E_DISK_CID_MISMATCH},

    /* A disk's parent is not there. */
    {"orphaned", FULL, "-", VIX_E_DISK_OPENPARENT},
    {"orphaned", FULL, "later", VIX_E_DISK_OPENPARENT},
    {"orphaned", LINKED, "-", VIX_E_DISK_OPENPARENT},
    {"orphaned", LINKED, "later", VIX_E_DISK_OPENPARENT},

    /* A disk is in an undoable or non-persistent session: it has a `.redo`. */
    {"undoable", FULL, "-", VIX_E_NOT_SUPPORTED},
    {"undoable", FULL, "cold", VIX_E_NOT_SUPPORTED},
    {"undoable", LINKED, "-", VIX_E_NOT_SUPPORTED},
    {"undoable", LINKED, "cold", VIX_E_NOT_SUPPORTED},

    /* A disk is a device of the host. */
    {"raw", FULL, "-", VIX_E_DISK_NOTSUPPORTED},
    {"raw", LINKED, "-", VIX_E_DISK_NOTSUPPORTED},

    /* It became encrypted after it was opened: no client gets further with one that is. */
    {"encrypted", FULL, "-", VIX_E_CRYPTO_NEED_PASSWORD},
    {"encrypted", FULL, "cold", VIX_E_CRYPTO_NEED_PASSWORD},
    {"encrypted", LINKED, "-", VIX_E_CRYPTO_NEED_PASSWORD},
    {"encrypted", LINKED, "cold", VIX_E_CRYPTO_NEED_PASSWORD}};

#define ROW_COUNT ((int)(sizeof ROWS / sizeof ROWS[0]))

static int power_state_of(VixHandle vm)
{
    return number_of(vm, VIX_PROPERTY_VM_POWER_STATE);
}

/* Returns the power state that a VM in `state` has. */
static int expected_power(const char *state)
{
    if (strcmp(state, "suspended") == 0) {
        return VIX_POWERSTATE_SUSPENDED;
    }
    if (strcmp(state, "paused") == 0) {
        return VIX_POWERSTATE_POWERED_ON | VIX_POWERSTATE_PAUSED;
    }
    if (strcmp(state, "on") == 0 || strcmp(state, "foreign") == 0) {
        return VIX_POWERSTATE_POWERED_ON;
    }
    return VIX_POWERSTATE_POWERED_OFF;
}

/* Tries all lines of `state` that are to fail; what they say holds every one of `words`. */
static void try_refused(VixHandle vm, const char *state, const char *folder, char **words)
{
    int tried = 0;
    int i;
    for (i = 0; i < ROW_COUNT; i++) {
        const Row *row = &ROWS[i];
        if (strcmp(row->state, state) == 0 && row->expected != VIX_OK) {
            VixHandle snapshot = snapshot_named(vm, row->snapshot);
            VixHandle job = cloning(vm, snapshot, row->type, below(folder, "no/no.vmx"));
            char *message = message_of(job);
            char **word;
            for (word = words; *word != NULL; word++) {
                CHECK_SAYS(message, *word);
            }
            printf("%s, type %d, snapshot %s: %s\n", state, row->type, row->snapshot, message);
            Vix_FreeBuffer(message);
            CHECK_JOB(job, row->expected);
            Vix_ReleaseHandle(snapshot);
            tried++;
        }
    }
    CHECK(tried > 0);
}

/* Third argument: the state; all others: words that are said. */
static void refused(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    CHECK_NUMBER(power_state_of(vm), expected_power(args[2]));
    try_refused(vm, args[2], args[1], args + 3);
    CHECK_NUMBER(power_state_of(vm), expected_power(args[2]));
    Vix_ReleaseHandle(vm);
}

/* The VM becomes encrypted by its user while it is open here. */
static void encrypted(VixHandle host, char **args)
{
    char *none = NULL;
    VixHandle vm = open_vm(host, args[0]);
    FILE *config = fopen(args[0], "a");
    CHECK(config != NULL);
    fputs("encryption.keySafe = \"vmware:key/list\"\nencryption.data = \"AAAA\"\n", config);
    CHECK(fclose(config) == 0);
    try_refused(vm, "encrypted", args[1], &none);
    Vix_ReleaseHandle(vm);
}

/* Checks that a clone is off and has no snapshots, as every new VM. */
static void check_new(VixHandle clone)
{
    CHECK_NUMBER(power_state_of(clone), VIX_POWERSTATE_POWERED_OFF);
    CHECK_NUMBER(root_count(clone), 0);
}

/* Makes the clone of a line at FOLDER/STATE-LINE; the job of a suspended VM's says so. */
static void make(VixHandle vm, const Row *row, int line, const char *folder)
{
    char name[64];
    VixHandle snapshot = snapshot_named(vm, row->snapshot);
    VixHandle job;
    VixHandle clone;
    char *message;
    sprintf(name, "%s-%d/clone.vmx", row->state, line);
    job = cloning(vm, snapshot, row->type, below(folder, name));
    message = message_of(job);
    if (strcmp(row->state, "suspended") == 0) {
        CHECK_SAYS(message, "suspended");
    } else {
        CHECK_TEXT(message, "");
    }
    Vix_FreeBuffer(message);
    clone = MADE_BY(job);
    check_new(clone);
    Vix_ReleaseHandle(clone);
    Vix_ReleaseHandle(snapshot);
}

/* Third argument: the state. Makes the clones of all its lines that are to work. */
static void works(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    int made = 0;
    int i;
    for (i = 0; i < ROW_COUNT; i++) {
        if (strcmp(ROWS[i].state, args[2]) == 0 && ROWS[i].expected == VIX_OK) {
            make(vm, &ROWS[i], i, args[1]);
            CHECK_NUMBER(power_state_of(vm), expected_power(args[2]));
            made++;
        }
    }
    CHECK(made > 0);
    Vix_ReleaseHandle(vm);
}

static void power_on(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    CHECK_JOB(starting(vm), VIX_OK);
    Vix_ReleaseHandle(vm);
}

static void pause_vm(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    CHECK_JOB(VixVM_Pause(vm, 0, VIX_INVALID_HANDLE, NULL, NULL), VIX_OK);
    Vix_ReleaseHandle(vm);
}

static void power_off(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    CHECK_JOB(stopping(vm), VIX_OK);
    Vix_ReleaseHandle(vm);
}

static const Test TESTS[] = {{"refused", refused},   {"encrypted", encrypted},
                             {"works", works},       {"power_on", power_on},
                             {"pause", pause_vm},    {"power_off", power_off},
                             {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
