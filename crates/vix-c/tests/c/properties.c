/*
 * properties.c: the properties of every kind of handle: which there are, their types, who owns what.
 *
 * First argument: a VM's .vmx; it has one CPU, 64 MB, the name `base`, the guest system `other`, and
 * a snapshot `cold`.
 */
#include "check.h"

typedef struct Property {
    VixPropertyID id;
    VixPropertyType type;
} Property;

/* Checks the type of a property, and that its value is of that type. */
static void check_readable(VixHandle handle, const Property *property)
{
    VixPropertyType type = -1;
    int number = 0;
    int64 large = 0;
    Bool flag = 2;
    char *text = NULL;
    CHECK_ERROR(Vix_GetPropertyType(handle, property->id, &type), VIX_OK);
    CHECK_NUMBER(type, property->type);
    switch (type) {
    case VIX_PROPERTYTYPE_INTEGER:
        CHECK_ERROR(Vix_GetProperties(handle, property->id, &number, VIX_PROPERTY_NONE), VIX_OK);
        break;
    case VIX_PROPERTYTYPE_INT64:
        CHECK_ERROR(Vix_GetProperties(handle, property->id, &large, VIX_PROPERTY_NONE), VIX_OK);
        break;
    case VIX_PROPERTYTYPE_BOOL:
        CHECK_ERROR(Vix_GetProperties(handle, property->id, &flag, VIX_PROPERTY_NONE), VIX_OK);
        CHECK(IsBool(flag));
        break;
    default:
        CHECK_NUMBER(type, VIX_PROPERTYTYPE_STRING);
        CHECK_ERROR(Vix_GetProperties(handle, property->id, &text, VIX_PROPERTY_NONE), VIX_OK);
        CHECK(text != NULL);
        Vix_FreeBuffer(text);
    }
}

/* Checks that a handle has no such property; what one asks for stays as it is. */
static void check_absent(VixHandle handle, VixPropertyID id)
{
    VixPropertyType type = 4711;
    int64 value[2] = {4711, 4711};
    CHECK_ERROR(Vix_GetPropertyType(handle, id, &type), VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK_ERROR(Vix_GetProperties(handle, id, value, VIX_PROPERTY_NONE),
                VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK(type == 4711 && value[0] == 4711 && value[1] == 4711);
}

static const VixPropertyID UNKNOWN[] = {1, 49, 999, -1, 2147483647};

static void check_unknown(VixHandle handle)
{
    size_t i;
    for (i = 0; i < sizeof UNKNOWN / sizeof UNKNOWN[0]; i++) {
        check_absent(handle, UNKNOWN[i]);
    }
}

static void host_has_its_properties(VixHandle host, char **args)
{
    static const Property ALL[] = {{VIX_PROPERTY_HOST_HOSTTYPE, VIX_PROPERTYTYPE_INTEGER},
                                   {VIX_PROPERTY_HOST_API_VERSION, VIX_PROPERTYTYPE_INTEGER},
                                   {VIX_PROPERTY_HOST_SOFTWARE_VERSION, VIX_PROPERTYTYPE_STRING}};
    char *version;
    int i;
    (void)args;
    for (i = 0; i < 3; i++) {
        check_readable(host, &ALL[i]);
    }
    CHECK_NUMBER(number_of(host, VIX_PROPERTY_HOST_HOSTTYPE),
                 VIX_SERVICEPROVIDER_VMWARE_WORKSTATION);
    CHECK(number_of(host, VIX_PROPERTY_HOST_API_VERSION) > 0);
    version = text_of(host, VIX_PROPERTY_HOST_SOFTWARE_VERSION);
    CHECK(version[0] != '\0');
    Vix_FreeBuffer(version);
    check_absent(host, VIX_PROPERTY_VM_NAME);
    check_absent(host, VIX_PROPERTY_JOB_RESULT_HANDLE);
    check_unknown(host);
}

static void vm_has_its_properties(VixHandle host, char **args)
{
    static const Property ALL[] = {
        {VIX_PROPERTY_VM_NUM_VCPUS, VIX_PROPERTYTYPE_INTEGER},
        {VIX_PROPERTY_VM_VMX_PATHNAME, VIX_PROPERTYTYPE_STRING},
        {VIX_PROPERTY_VM_VMTEAM_PATHNAME, VIX_PROPERTYTYPE_STRING},
        {VIX_PROPERTY_VM_MEMORY_SIZE, VIX_PROPERTYTYPE_INTEGER},
        {VIX_PROPERTY_VM_READ_ONLY, VIX_PROPERTYTYPE_BOOL},
        {VIX_PROPERTY_VM_NAME, VIX_PROPERTYTYPE_STRING},
        {VIX_PROPERTY_VM_GUESTOS, VIX_PROPERTYTYPE_STRING},
        {VIX_PROPERTY_VM_IN_VMTEAM, VIX_PROPERTYTYPE_BOOL},
        {VIX_PROPERTY_VM_POWER_STATE, VIX_PROPERTYTYPE_INTEGER},
        {VIX_PROPERTY_VM_TOOLS_STATE, VIX_PROPERTYTYPE_INTEGER},
        {VIX_PROPERTY_VM_IS_RUNNING, VIX_PROPERTYTYPE_BOOL},
        {VIX_PROPERTY_VM_SUPPORTED_FEATURES, VIX_PROPERTYTYPE_INTEGER},
        {VIX_PROPERTY_VM_IS_RECORDING, VIX_PROPERTYTYPE_BOOL},
        {VIX_PROPERTY_VM_IS_REPLAYING, VIX_PROPERTYTYPE_BOOL},
        {VIX_PROPERTY_VM_SSL_ERROR, VIX_PROPERTYTYPE_INT64},
        {VIX_PROPERTY_GUEST_SHAREDFOLDERS_SHARES_PATH, VIX_PROPERTYTYPE_STRING}};
    VixHandle vm = open_vm(host, args[0]);
    size_t i;
    for (i = 0; i < sizeof ALL / sizeof ALL[0]; i++) {
        check_readable(vm, &ALL[i]);
    }
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_NUM_VCPUS), 1);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_MEMORY_SIZE), 64);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_POWER_STATE), VIX_POWERSTATE_POWERED_OFF);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_TOOLS_STATE), VIX_TOOLSSTATE_UNKNOWN);
    CHECK(number_of(vm, VIX_PROPERTY_VM_SUPPORTED_FEATURES) & VIX_VM_SUPPORT_MULTIPLE_SNAPSHOTS);
    check_text_of(vm, VIX_PROPERTY_VM_VMX_PATHNAME, args[0]);
    check_text_of(vm, VIX_PROPERTY_VM_NAME, "base");
    check_text_of(vm, VIX_PROPERTY_VM_GUESTOS, "other");
    check_absent(vm, VIX_PROPERTY_HOST_HOSTTYPE);
    check_absent(vm, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME);
    check_unknown(vm);
    Vix_ReleaseHandle(vm);
}

static void snapshot_has_its_properties(VixHandle host, char **args)
{
    static const Property ALL[] = {
        {VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, VIX_PROPERTYTYPE_STRING},
        {VIX_PROPERTY_SNAPSHOT_DESCRIPTION, VIX_PROPERTYTYPE_STRING},
        {VIX_PROPERTY_SNAPSHOT_POWERSTATE, VIX_PROPERTYTYPE_INTEGER},
        {VIX_PROPERTY_SNAPSHOT_IS_REPLAYABLE, VIX_PROPERTYTYPE_BOOL}};
    VixHandle vm = open_vm(host, args[0]);
    VixHandle snapshot = snapshot_named(vm, "cold");
    int i;
    for (i = 0; i < 4; i++) {
        check_readable(snapshot, &ALL[i]);
    }
    check_text_of(snapshot, VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, "cold");
    check_absent(snapshot, VIX_PROPERTY_VM_NAME);
    check_unknown(snapshot);
    Vix_ReleaseHandle(snapshot);
    Vix_ReleaseHandle(vm);
}

/* The types are known of every job; the values only of those that have them. */
static void job_has_its_properties(VixHandle host, char **args)
{
    static const Property SOME[] = {
        {VIX_PROPERTY_JOB_RESULT_ERROR_CODE, VIX_PROPERTYTYPE_INT64},
        {VIX_PROPERTY_JOB_RESULT_HANDLE, VIX_PROPERTYTYPE_HANDLE},
        {VIX_PROPERTY_JOB_RESULT_USER_MESSAGE, VIX_PROPERTYTYPE_STRING},
        {VIX_PROPERTY_JOB_RESULT_GUEST_OBJECT_EXISTS, VIX_PROPERTYTYPE_BOOL},
        {VIX_PROPERTY_JOB_RESULT_PROCESS_ID, VIX_PROPERTYTYPE_INT64},
        {VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_DATA, VIX_PROPERTYTYPE_BLOB},
        {VIX_PROPERTY_JOB_RESULT_ITEM_NAME, VIX_PROPERTYTYPE_STRING},
        {VIX_PROPERTY_FOUND_ITEM_LOCATION, VIX_PROPERTYTYPE_STRING}};
    VixHandle job = opening(host, args[0]);
    VixHandle vm = VIX_INVALID_HANDLE;
    int64 code = -1;
    int size = 4711;
    unsigned char *data = NULL;
    size_t i;
    CHECK_ERROR(VixJob_Wait(job, VIX_PROPERTY_NONE), VIX_OK);
    for (i = 0; i < sizeof SOME / sizeof SOME[0]; i++) {
        VixPropertyType type = -1;
        CHECK_ERROR(Vix_GetPropertyType(job, SOME[i].id, &type), VIX_OK);
        CHECK_NUMBER(type, SOME[i].type);
    }
    CHECK_ERROR(Vix_GetProperties(job,
                                  VIX_PROPERTY_JOB_RESULT_ERROR_CODE, &code,
                                  VIX_PROPERTY_JOB_RESULT_HANDLE, &vm,
                                  VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_ERROR((VixError)code, VIX_OK);
    CHECK_NUMBER(Vix_GetHandleType(vm), VIX_HANDLETYPE_VM);
    CHECK_ERROR(Vix_GetProperties(job, VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_DATA, &size, &data,
                                  VIX_PROPERTY_NONE),
                VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK(size == 4711 && data == NULL);
    check_absent(job, VIX_PROPERTY_VM_NAME);
    check_unknown(job);
    Vix_ReleaseHandle(vm);
    Vix_ReleaseHandle(job);
}

/* One byte is written, whatever stands around it. */
static void bool_is_one_byte(VixHandle host, char **args)
{
    struct {
        unsigned char before[3];
        Bool value;
        unsigned char after[4];
    } bytes;
    VixHandle vm = open_vm(host, args[0]);
    size_t i;
    CHECK_NUMBER(sizeof(Bool), 1);
    memset(&bytes, 0xa5, sizeof bytes);
    CHECK_ERROR(Vix_GetProperties(vm, VIX_PROPERTY_VM_IS_RUNNING, &bytes.value, VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_NUMBER(bytes.value, FALSE);
    for (i = 0; i < sizeof bytes.after; i++) {
        CHECK_NUMBER(bytes.after[i], 0xa5);
    }
    CHECK_NUMBER(bytes.before[2], 0xa5);
    Vix_ReleaseHandle(vm);
}

static void texts_belong_to_the_client(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    char *first = text_of(vm, VIX_PROPERTY_VM_NAME);
    char *second = text_of(vm, VIX_PROPERTY_VM_NAME);
    char mine[] = "mine";
    CHECK(first != second);
    first[0] = 'B';
    CHECK_TEXT(second, "base");
    Vix_ReleaseHandle(vm);
    CHECK_TEXT(first, "Base");
    Vix_FreeBuffer(first);
    Vix_FreeBuffer(second);
    Vix_FreeBuffer(NULL);
    /* Known clients do this. */
    Vix_FreeBuffer(&second);
    Vix_FreeBuffer(mine);
    CHECK_TEXT(mine, "mine");
}

static void properties_are_read_all_or_none(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    char *name = NULL;
    char *path = NULL;
    int cpus = 4711;
    CHECK_ERROR(Vix_GetProperties(vm,
                                  VIX_PROPERTY_VM_NAME, &name,
                                  VIX_PROPERTY_VM_NUM_VCPUS, &cpus,
                                  VIX_PROPERTY_VM_VMX_PATHNAME, &path,
                                  VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_TEXT(name, "base");
    CHECK_TEXT(path, args[0]);
    CHECK_NUMBER(cpus, 1);
    Vix_FreeBuffer(name);
    Vix_FreeBuffer(path);

    name = NULL;
    cpus = 4711;
    CHECK_ERROR(Vix_GetProperties(vm,
                                  VIX_PROPERTY_VM_NAME, &name,
                                  VIX_PROPERTY_VM_NUM_VCPUS, &cpus,
                                  VIX_PROPERTY_SNAPSHOT_DISPLAYNAME, &path,
                                  VIX_PROPERTY_NONE),
                VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK(name == NULL && cpus == 4711);
    CHECK_ERROR(Vix_GetProperties(vm,
                                  VIX_PROPERTY_VM_NAME, &name,
                                  VIX_PROPERTY_VM_NUM_VCPUS, (int *)NULL,
                                  VIX_PROPERTY_NONE),
                VIX_E_INVALID_ARG);
    CHECK(name == NULL);
    CHECK_ERROR(Vix_GetProperties(vm, VIX_PROPERTY_NONE), VIX_OK);
    CHECK_ERROR(Vix_GetPropertyType(vm, VIX_PROPERTY_VM_NAME, NULL), VIX_E_INVALID_ARG);
    Vix_ReleaseHandle(vm);
}

/* Somebody else gives the VM another name while it is open here. */
static void vm_is_seen_as_it_is_now(VixHandle host, char **args)
{
    VixHandle vm = open_vm(host, args[0]);
    FILE *config;
    check_text_of(vm, VIX_PROPERTY_VM_NAME, "base");
    config = fopen(args[0], "w");
    CHECK(config != NULL);
    fputs("config.version = \"8\"\nvirtualHW.version = \"19\"\ndisplayName = \"other\"\n"
          "numvcpus = \"2\"\nmemsize = \"128\"\n",
          config);
    CHECK(fclose(config) == 0);
    check_text_of(vm, VIX_PROPERTY_VM_NAME, "other");
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_NUM_VCPUS), 2);
    CHECK_NUMBER(number_of(vm, VIX_PROPERTY_VM_MEMORY_SIZE), 128);
    Vix_ReleaseHandle(vm);
}

static const Test TESTS[] = {
    {"host_has_its_properties", host_has_its_properties},
    {"vm_has_its_properties", vm_has_its_properties},
    {"snapshot_has_its_properties", snapshot_has_its_properties},
    {"job_has_its_properties", job_has_its_properties},
    {"bool_is_one_byte", bool_is_one_byte},
    {"texts_belong_to_the_client", texts_belong_to_the_client},
    {"properties_are_read_all_or_none", properties_are_read_all_or_none},
    {"vm_is_seen_as_it_is_now", vm_is_seen_as_it_is_now},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
