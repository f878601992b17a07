/*
 * A client that passes arguments of variable length in every form: each type, more of them than
 * there are registers, null pointers, unknown properties, addresses that are not to be freed.
 */

#include <stdio.h>
#include <string.h>

#include "vix.h"

static int failures = 0;

#define CHECK(condition)                                                  \
    do {                                                                  \
        if (!(condition)) {                                               \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            failures++;                                                   \
        }                                                                 \
    } while (0)

#define NAME VIX_PROPERTY_VM_NAME
#define MEMORY VIX_PROPERTY_VM_MEMORY_SIZE
#define READ_ONLY VIX_PROPERTY_VM_READ_ONLY
#define RUNNING VIX_PROPERTY_VM_IS_RUNNING
#define RESULT VIX_PROPERTY_JOB_RESULT_HANDLE
#define FILE_SIZE VIX_PROPERTY_JOB_RESULT_FILE_SIZE
#define IMAGE VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_DATA

static VixHandle connect_to_host(void)
{
    VixHandle host = VIX_INVALID_HANDLE;
    VixError error = 0;
    VixHandle job = VixHost_Connect(VIX_API_VERSION, VIX_SERVICEPROVIDER_DEFAULT, NULL, 0, NULL, NULL, 0,
                                    VIX_INVALID_HANDLE, NULL, NULL);

    CHECK(VixJob_Wait(job, RESULT, &host, VIX_PROPERTY_JOB_RESULT_ERROR_CODE, &error,
                      VIX_PROPERTY_NONE) == VIX_OK);
    CHECK(Vix_GetHandleType(host) == VIX_HANDLETYPE_HOST);
    CHECK(error == VIX_OK);
    CHECK(VixJob_GetNumProperties(job, RESULT) == 1);
    Vix_ReleaseHandle(job);
    return host;
}

/* One property of each type, so more arguments than go in registers. */
static VixHandle list_of_all_types(VixHandle host)
{
    static const unsigned char bytes[] = {0, 1, 2, 0, 255};
    VixHandle list = VIX_INVALID_HANDLE;

    CHECK(VixPropertyList_AllocPropertyList(host, &list, IMAGE, (int) sizeof bytes, bytes, FILE_SIZE,
                                            (int64) 5 << 32, READ_ONLY, TRUE, RESULT, host, MEMORY, -512,
                                            NAME, "caf\303\251", RUNNING, FALSE,
                                            VIX_PROPERTY_NONE) == VIX_OK);
    CHECK(Vix_GetHandleType(list) == VIX_HANDLETYPE_PROPERTY_LIST);
    return list;
}

static void values_come_back(VixHandle host, VixHandle list)
{
    char *name = NULL;
    unsigned char *bytes = NULL;
    int size = 0, memory = 0;
    int64 file_size = 0;
    VixHandle handle = VIX_INVALID_HANDLE;
    Bool flags[3] = {7, 7, 7};

    CHECK(Vix_GetProperties(list, NAME, &name, MEMORY, &memory, RUNNING, &flags[0], RESULT, &handle,
                            IMAGE, &size, &bytes, READ_ONLY, &flags[1], FILE_SIZE, &file_size,
                            VIX_PROPERTY_NONE) == VIX_OK);
    CHECK(name != NULL && strcmp(name, "caf\303\251") == 0);
    CHECK(memory == -512);
    CHECK(handle == host);
    CHECK(size == 5 && bytes != NULL && memcmp(bytes, "\0\1\2\0\377", 5) == 0);
    CHECK(file_size == (int64) 5 << 32);
    /* One byte each: the one behind is another's. */
    CHECK(flags[0] == FALSE && flags[1] == TRUE && flags[2] == 7);
    Vix_ReleaseHandle(handle);
    Vix_FreeBuffer(name);
    Vix_FreeBuffer(bytes);
    /* Some clients pass the address of their variable, some free twice. */
    Vix_FreeBuffer(&name);
    Vix_FreeBuffer(name);
    Vix_FreeBuffer(NULL);
}

static void failures_store_nothing(VixHandle host, VixHandle list)
{
    char *name = NULL;
    int memory = 7, size = 7;
    VixHandle handle = 7, none = 7;

    CHECK(Vix_GetProperties(list, NAME, &name, MEMORY, NULL, VIX_PROPERTY_NONE) == VIX_E_INVALID_ARG);
    CHECK(Vix_GetProperties(list, IMAGE, &size, NULL, VIX_PROPERTY_NONE) == VIX_E_INVALID_ARG);
    CHECK(Vix_GetProperties(list, RESULT, &handle, NAME, NULL, VIX_PROPERTY_NONE) == VIX_E_INVALID_ARG);
    /* Unknown to VIX, and unknown to the list. */
    CHECK(Vix_GetProperties(list, MEMORY, &memory, 999999, &memory, VIX_PROPERTY_NONE)
          == VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK(Vix_GetProperties(list, MEMORY, &memory, VIX_PROPERTY_VM_NUM_VCPUS, &memory, VIX_PROPERTY_NONE)
          == VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK(Vix_GetProperties(VIX_INVALID_HANDLE, MEMORY, &memory, VIX_PROPERTY_NONE)
          == VIX_E_INVALID_HANDLE);
    CHECK(VixJob_Wait(host, MEMORY, &memory, VIX_PROPERTY_NONE) == VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    CHECK(name == NULL && memory == 7 && size == 7 && handle == 7);

    CHECK(VixPropertyList_AllocPropertyList(host, NULL, VIX_PROPERTY_NONE) == VIX_E_INVALID_ARG);
    CHECK(VixPropertyList_AllocPropertyList(host, &none, NAME, NULL, VIX_PROPERTY_NONE)
          == VIX_E_INVALID_ARG);
    CHECK(VixPropertyList_AllocPropertyList(host, &none, NAME, "\377", VIX_PROPERTY_NONE)
          == VIX_E_INVALID_UTF8_STRING);
    CHECK(VixPropertyList_AllocPropertyList(host, &none, IMAGE, 3, NULL, VIX_PROPERTY_NONE)
          == VIX_E_INVALID_ARG);
    CHECK(VixPropertyList_AllocPropertyList(host, &none, IMAGE, -1, "x", VIX_PROPERTY_NONE)
          == VIX_E_INVALID_ARG);
    CHECK(VixPropertyList_AllocPropertyList(host, &none, 999999, "x", VIX_PROPERTY_NONE)
          == VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK(VixPropertyList_AllocPropertyList(VIX_INVALID_HANDLE, &none, VIX_PROPERTY_NONE)
          == VIX_E_INVALID_HANDLE);
    CHECK(none == 7);
}

static void a_failed_job_tells_its_own_error(VixHandle host)
{
    VixHandle vm = VIX_INVALID_HANDLE;
    int count = 7;
    VixHandle job = VixHost_OpenVM(host, "bad \377.vmx", VIX_VMOPEN_NORMAL, VIX_INVALID_HANDLE, NULL,
                                   NULL);

    CHECK(VixJob_Wait(job, RESULT, &vm, VIX_PROPERTY_NONE) == VIX_E_INVALID_UTF8_STRING);
    /* It comes before what is wrong with the question. */
    CHECK(VixJob_Wait(job, 999999, &vm, VIX_PROPERTY_NONE) == VIX_E_INVALID_UTF8_STRING);
    CHECK(VixJob_Wait(job, RESULT, NULL, VIX_PROPERTY_NONE) == VIX_E_INVALID_UTF8_STRING);
    CHECK(vm == VIX_INVALID_HANDLE);
    CHECK(VixJob_GetError(job) == VIX_E_INVALID_UTF8_STRING);
    CHECK(VixJob_GetNthProperties(job, 0, VIX_PROPERTY_FOUND_ITEM_LOCATION, NULL, VIX_PROPERTY_NONE)
          == VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK(VixJob_GetNthProperties(job, -1, RESULT, &vm, VIX_PROPERTY_NONE) == VIX_E_INVALID_ARG);
    CHECK(VixJob_CheckCompletion(job, NULL) == VIX_E_INVALID_ARG);
    CHECK(Vix_GetPropertyType(job, RESULT, NULL) == VIX_E_INVALID_ARG);
    CHECK(Vix_GetPropertyType(job, RESULT, &count) == VIX_OK && count == VIX_PROPERTYTYPE_HANDLE);
    Vix_ReleaseHandle(job);
}

int main(void)
{
    VixHandle host = connect_to_host();
    VixHandle list = list_of_all_types(host);

    values_come_back(host, list);
    failures_store_nothing(host, list);
    a_failed_job_tells_its_own_error(host);
    Vix_ReleaseHandle(list);
    CHECK(Vix_GetHandleType(list) == VIX_HANDLETYPE_NONE);
    VixHost_Disconnect(host);
    if (failures != 0) {
        return 1;
    }
    printf("done\n");
    return 0;
}
