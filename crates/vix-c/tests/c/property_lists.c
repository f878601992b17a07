/*
 * property_lists.c: lists of properties that a client makes, and what they are for.
 *
 * First argument: a VM's .vmx.
 */
#include "check.h"

static const unsigned char PICTURE[] = {0, 1, 0xff, 0, 2};

static void list_holds_what_was_put_in(VixHandle host, char **args)
{
    char password[] = "secret";
    unsigned char picture[sizeof PICTURE];
    VixHandle list = VIX_INVALID_HANDLE;
    VixHandle inside = VIX_INVALID_HANDLE;
    char *text = NULL;
    unsigned char *data = NULL;
    int number = -1;
    int size = -1;
    int64 large = -1;
    Bool flag = 2;
    (void)args;
    memcpy(picture, PICTURE, sizeof picture);
    CHECK_ERROR(VixPropertyList_AllocPropertyList(
                    host, &list,
                    VIX_PROPERTY_VM_ENCRYPTION_PASSWORD, password,
                    VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_FLAGS, -5,
                    VIX_PROPERTY_JOB_RESULT_GUEST_OBJECT_EXISTS, TRUE,
                    VIX_PROPERTY_JOB_RESULT_FILE_SIZE, (int64)1 << 40,
                    VIX_PROPERTY_JOB_RESULT_HANDLE, host,
                    VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_DATA, (int)sizeof picture, picture,
                    VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_NUMBER(Vix_GetHandleType(list), VIX_HANDLETYPE_PROPERTY_LIST);
    /* It holds copies. */
    memset(password, 'x', strlen(password));
    memset(picture, 'x', sizeof picture);
    CHECK_ERROR(Vix_GetProperties(list,
                                  VIX_PROPERTY_JOB_RESULT_SCREEN_IMAGE_DATA, &size, &data,
                                  VIX_PROPERTY_VM_ENCRYPTION_PASSWORD, &text,
                                  VIX_PROPERTY_JOB_RESULT_SHARED_FOLDER_FLAGS, &number,
                                  VIX_PROPERTY_JOB_RESULT_GUEST_OBJECT_EXISTS, &flag,
                                  VIX_PROPERTY_JOB_RESULT_FILE_SIZE, &large,
                                  VIX_PROPERTY_JOB_RESULT_HANDLE, &inside,
                                  VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_TEXT(text, "secret");
    CHECK_NUMBER(number, -5);
    CHECK_NUMBER(flag, TRUE);
    CHECK(large == (int64)1 << 40);
    CHECK_NUMBER(inside, host);
    CHECK_NUMBER(size, sizeof PICTURE);
    CHECK(memcmp(data, PICTURE, sizeof PICTURE) == 0);
    Vix_FreeBuffer(text);
    Vix_FreeBuffer(data);
    Vix_ReleaseHandle(inside);
    Vix_ReleaseHandle(list);
    CHECK_NUMBER(Vix_GetHandleType(list), VIX_HANDLETYPE_NONE);
    CHECK_NUMBER(Vix_GetHandleType(host), VIX_HANDLETYPE_HOST);
}

static void list_knows_its_own_alone(VixHandle host, char **args)
{
    VixHandle list = VIX_INVALID_HANDLE;
    VixPropertyType type = -1;
    char *text = NULL;
    (void)args;
    CHECK_ERROR(VixPropertyList_AllocPropertyList(host, &list,
                                                  VIX_PROPERTY_VM_ENCRYPTION_PASSWORD, "",
                                                  VIX_PROPERTY_NONE),
                VIX_OK);
    CHECK_ERROR(Vix_GetPropertyType(list, VIX_PROPERTY_VM_ENCRYPTION_PASSWORD, &type), VIX_OK);
    CHECK_NUMBER(type, VIX_PROPERTYTYPE_STRING);
    check_text_of(list, VIX_PROPERTY_VM_ENCRYPTION_PASSWORD, "");
    CHECK_ERROR(Vix_GetPropertyType(list, VIX_PROPERTY_VM_NAME, &type),
                VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK_ERROR(Vix_GetProperties(list, VIX_PROPERTY_VM_NAME, &text, VIX_PROPERTY_NONE),
                VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK(text == NULL);
    Vix_ReleaseHandle(list);
}

static void senseless_list_is_refused(VixHandle host, char **args)
{
    VixHandle list = 4711;
    (void)args;
    CHECK_ERROR(VixPropertyList_AllocPropertyList(host, &list, 999, 1, VIX_PROPERTY_NONE),
                VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK_ERROR(VixPropertyList_AllocPropertyList(host, &list, VIX_PROPERTY_VM_ENCRYPTION_PASSWORD,
                                                  (char *)NULL, VIX_PROPERTY_NONE),
                VIX_E_INVALID_ARG);
    CHECK_ERROR(VixPropertyList_AllocPropertyList(host, &list, VIX_PROPERTY_VM_ENCRYPTION_PASSWORD,
                                                  "\xc3(", VIX_PROPERTY_NONE),
                VIX_E_INVALID_UTF8_STRING);
    CHECK_ERROR(VixPropertyList_AllocPropertyList(host, &list, VIX_PROPERTY_JOB_RESULT_HANDLE,
                                                  9999, VIX_PROPERTY_NONE),
                VIX_E_INVALID_HANDLE);
    CHECK_ERROR(VixPropertyList_AllocPropertyList(9999, &list, VIX_PROPERTY_NONE),
                VIX_E_INVALID_HANDLE);
    CHECK_ERROR(VixPropertyList_AllocPropertyList(host, NULL, VIX_PROPERTY_NONE),
                VIX_E_INVALID_ARG);
    CHECK_NUMBER(list, 4711);
}

/* Opens the VM with a password, which an encrypted one would need. */
static VixHandle opening_with(VixHandle host, const char *vmx, VixHandle list)
{
    return VixHost_OpenVM(host, vmx, VIX_VMOPEN_NORMAL, list, NULL, NULL);
}

static void password_is_for_opening(VixHandle host, char **args)
{
    VixHandle list = VIX_INVALID_HANDLE;
    FILE *config;
    CHECK_ERROR(VixPropertyList_AllocPropertyList(host, &list,
                                                  VIX_PROPERTY_VM_ENCRYPTION_PASSWORD, "secret",
                                                  VIX_PROPERTY_NONE),
                VIX_OK);
    Vix_ReleaseHandle(MADE_BY(opening_with(host, args[0], list)));
    config = fopen(args[0], "a");
    CHECK(config != NULL);
    fputs("encryption.keySafe = \"vmware:key/list\"\nencryption.data = \"AAAA\"\n", config);
    CHECK(fclose(config) == 0);
    CHECK_JOB(opening(host, args[0]), VIX_E_CRYPTO_NEED_PASSWORD);
    CHECK_JOB(opening_with(host, args[0], list), VIX_E_NOT_SUPPORTED);
    CHECK_JOB(opening_with(host, args[0], host), VIX_E_NOT_SUPPORTED_ON_HANDLE_TYPE);
    CHECK_JOB(opening_with(host, args[0], 9999), VIX_E_INVALID_HANDLE);
    Vix_ReleaseHandle(list);
}

static const Test TESTS[] = {
    {"list_holds_what_was_put_in", list_holds_what_was_put_in},
    {"list_knows_its_own_alone", list_knows_its_own_alone},
    {"senseless_list_is_refused", senseless_list_is_refused},
    {"password_is_for_opening", password_is_for_opening},
    {NULL, NULL}};

int main(int argc, char **argv)
{
    return run_test(TESTS, argc, argv);
}
