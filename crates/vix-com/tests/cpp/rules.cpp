/*
 * rules.cpp: what COM asks of objects and C has not: interfaces, null pointers, types of arguments, forms
 * of arrays, counting.
 *
 * rules VMX FOLDER
 */
#include "com_check.h"

/* ---- Interfaces ---- */

static const IID *const ALL[] = {&IID_IVixLib, &IID_IVixHandle, &IID_IVixHandle2, &IID_ICallback, &IID_IJob,
                                 &IID_ISnapshot, &IID_IHost, &IID_IHost2, &IID_IVM, &IID_IVM2};

/* An object answers to `wanted`, IDispatch and IUnknown, always as the same object, and to no others. */
static void answers_to(IUnknown *object, std::initializer_list<const IID *> wanted)
{
    IUnknown *identity = nullptr;
    CHECK_RESULT(object->QueryInterface(IID_IUnknown, (void **)&identity), S_OK);
    for (const IID *iid : ALL) {
        bool is_wanted = false;
        for (const IID *one : wanted) {
            is_wanted = is_wanted || one == iid;
        }
        IUnknown *as = nullptr;
        CHECK_RESULT(object->QueryInterface(*iid, (void **)&as), is_wanted ? S_OK : E_NOINTERFACE);
        CHECK((as != nullptr) == is_wanted);
        if (as != nullptr) {
            IUnknown *again = nullptr;
            IDispatch *by_name = nullptr;
            CHECK_RESULT(as->QueryInterface(IID_IUnknown, (void **)&again), S_OK);
            CHECK(again == identity);
            CHECK_RESULT(as->QueryInterface(IID_IDispatch, (void **)&by_name), S_OK);
            by_name->Release();
            again->Release();
            as->Release();
        }
    }
    CHECK_RESULT(object->QueryInterface(IID_IUnknown, nullptr), E_POINTER);
    identity->Release();
}

static void interfaces(const Host &host, const Vm &vm, const Job &job, const Snapshot &snapshot)
{
    answers_to(library(), {&IID_IVixLib});
    answers_to(host, {&IID_IHost, &IID_IHost2, &IID_IVixHandle, &IID_IVixHandle2});
    answers_to(vm, {&IID_IVM, &IID_IVM2, &IID_IVixHandle, &IID_IVixHandle2});
    answers_to(job, {&IID_IJob, &IID_IVixHandle, &IID_IVixHandle2});
    answers_to(snapshot, {&IID_ISnapshot, &IID_IVixHandle, &IID_IVixHandle2});
}

/* An object lives as long as someone counts it. */
static void counting(const Vm &vm)
{
    IVM2 *counted = vm;
    ULONG before = counted->AddRef();
    CHECK(counted->AddRef() == before + 1);
    CHECK(counted->Release() == before);
    CHECK(counted->Release() == before - 1);
}

/* ---- Null pointers ---- */

static void null_pointers(const Host &host, const Vm &vm, const Job &job, const Snapshot &snapshot)
{
    Text path("c:\\no.vmx");
    Value results;
    Ids ids(VIX_PROPERTY_JOB_RESULT_HANDLE);
    ULONGLONG error = 0;
    CHECK_RESULT(library()->Connect(VIX_API_VERSION, 3, nullptr, 0, nullptr, nullptr, 0, nullptr, nullptr, nullptr),
                 E_POINTER);
    CHECK_RESULT(library()->GetErrorText(0, nullptr, nullptr), E_POINTER);
    CHECK_RESULT(library()->ErrorCode(0, nullptr), E_POINTER);
    CHECK_RESULT(library()->ErrorIndicatesSuccess(0, nullptr), E_POINTER);
    CHECK_RESULT(library()->ErrorIndicatesFailure(0, nullptr), E_POINTER);
    CHECK_RESULT(host->OpenVM(path, nullptr, nullptr), E_POINTER);
    CHECK_RESULT(host->FindItems(VIX_FIND_RUNNING_VMS, nullptr, -1, nullptr, nullptr), E_POINTER);
    CHECK_RESULT(vm->Clone(nullptr, VIX_CLONETYPE_FULL, path, 0, nullptr, nullptr, nullptr), E_POINTER);
    CHECK_RESULT(vm->PowerOn(0, nullptr, nullptr, nullptr), E_POINTER);
    CHECK_RESULT(vm->GetNumRootSnapshots(nullptr, &error), E_POINTER);
    CHECK_RESULT(vm->GetRootSnapshot(0, nullptr, &error), E_POINTER);
    CHECK_RESULT(vm->GetNamedSnapshot(path, nullptr, &error), E_POINTER);
    CHECK_RESULT(snapshot->GetParent(nullptr, &error), E_POINTER);
    CHECK_RESULT(job->Wait(ids.value, nullptr, &error), E_POINTER);
    CHECK_RESULT(job->Wait(ids.value, &results.value, nullptr), E_POINTER);
    CHECK_RESULT(job->WaitWithoutResults(nullptr), E_POINTER);
    CHECK_RESULT(job->CheckCompletion(nullptr, &error), E_POINTER);
    CHECK_RESULT(job->GetError(nullptr), E_POINTER);
    CHECK_RESULT(job->GetNumProperties(1, nullptr), E_POINTER);
    CHECK_RESULT(Handle::of(vm)->GetHandleType(nullptr), E_POINTER);
    CHECK_RESULT(Handle::of(vm)->Equals(Handle::of(vm), nullptr), E_POINTER);
}

/* ---- Forms of arrays ---- */

/* Asks a finished job for its error and its object, by ids in the form of `ids`. */
static void asks_by(const Job &job, const VARIANT &ids)
{
    Value results;
    LONG index = 1;
    ULONGLONG error = 1;
    CHECK_RESULT(job->Wait(ids, &results.value, &error), S_OK);
    CHECK(error == 0);
    CHECK(results.value.vt == (VT_ARRAY | VT_VARIANT));
    LONG lower = -1, upper = -1;
    well("bounds", SafeArrayGetLBound(results.value.parray, 1, &lower));
    well("bounds", SafeArrayGetUBound(results.value.parray, 1, &upper));
    CHECK(lower == 0 && upper == 1);
    Value second;
    well("element", SafeArrayGetElement(results.value.parray, &index, &second.value));
    CHECK(second.value.vt == VT_DISPATCH && second.value.pdispVal != nullptr);
    Vm made = Vm::of(second.value.pdispVal);
}

/* The two ids in an array of `type`, which starts at `lower`. */
static void array_of(VARTYPE type, LONG lower, Value &made)
{
    const LONG ids[] = {VIX_PROPERTY_JOB_RESULT_ERROR_CODE, VIX_PROPERTY_JOB_RESULT_HANDLE};
    SAFEARRAYBOUND bound = {2, lower};
    made.value.vt = VT_ARRAY | type;
    made.value.parray = SafeArrayCreate(type, 1, &bound);
    for (LONG i = 0; i < 2; i++) {
        LONG index = lower + i;
        SHORT narrow = (SHORT)ids[i];
        VARIANT boxed;
        boxed.vt = i == 0 ? VT_I2 : VT_I4;
        boxed.lVal = ids[i];
        void *element = type == VT_VARIANT ? (void *)&boxed : type == VT_I2 ? (void *)&narrow : (void *)&ids[i];
        well("fill", SafeArrayPutElement(made.value.parray, &index, element));
    }
}

static void forms_of_ids(const Job &job)
{
    for (VARTYPE type : {VT_VARIANT, VT_I4, VT_I2}) {
        for (LONG lower : {0, 1, -5}) {
            Value ids;
            array_of(type, lower, ids);
            asks_by(job, ids.value);
            VARIANT by_reference;
            by_reference.vt = VT_BYREF | VT_VARIANT;
            by_reference.pvarVal = &ids.value;
            asks_by(job, by_reference);
            by_reference.vt = VT_BYREF | VT_ARRAY | type;
            by_reference.pparray = &ids.value.parray;
            asks_by(job, by_reference);
        }
    }
    Value results;
    VARIANT single;
    ULONGLONG error = 1;
    single.vt = VT_I4;
    single.lVal = VIX_PROPERTY_JOB_RESULT_ERROR_CODE;
    CHECK_RESULT(job->Wait(single, &results.value, &error), S_OK);
    CHECK(error == 0 && results.value.vt == (VT_ARRAY | VT_VARIANT));
    /* What a variable held before goes. */
    CHECK_RESULT(job->Wait(single, &results.value, &error), S_OK);
    CHECK(error == 0 && results.value.vt == (VT_ARRAY | VT_VARIANT));
}

static void wrong_ids(const Job &job)
{
    Value text, results;
    ULONGLONG error = 0;
    text.value.vt = VT_BSTR;
    text.value.bstrVal = SysAllocString(L"no number");
    CHECK_RESULT(job->Wait(text.value, &results.value, &error), DISP_E_TYPEMISMATCH);
    Ids unknown(123456);
    CHECK_RESULT(job->Wait(unknown.value, &results.value, &error), S_OK);
    CHECK(error == VIX_E_UNRECOGNIZED_PROPERTY);
    CHECK(results.value.vt == VT_EMPTY);
}

/* ---- By name: what is refused, what is taken ---- */

static HRESULT call(IDispatch *object, const wchar_t *name, WORD kind, std::initializer_list<VARIANT> args,
                    VARIANT *answer)
{
    static const IID NO_IID = {};
    OLECHAR *names = (OLECHAR *)name;
    DISPID id = DISPID_UNKNOWN;
    HRESULT found = object->GetIDsOfNames(NO_IID, &names, 1, LOCALE_USER_DEFAULT, &id);
    if (found != S_OK) {
        return found;
    }
    std::string unused;
    VARIANT reversed[10];
    UINT count = 0;
    for (const VARIANT &arg : args) {
        reversed[args.size() - 1 - count++] = arg;
    }
    DISPPARAMS params = {reversed, nullptr, count, 0};
    VariantInit(answer);
    return object->Invoke(id, NO_IID, LOCALE_USER_DEFAULT, kind, &params, answer, nullptr, nullptr);
}

static VARIANT number_arg(LONG value)
{
    VARIANT made;
    made.vt = VT_I4;
    made.lVal = value;
    return made;
}

static VARIANT empty_arg(VARTYPE type)
{
    VARIANT made = {};
    made.vt = type;
    return made;
}

static VARIANT text_arg(const Text &text)
{
    VARIANT made;
    made.vt = VT_BSTR;
    made.bstrVal = text;
    return made;
}

/* Nothing, null, Empty and 0 stand for an object that is not given; the job then ends as without. */
static void nothings(const Host &host, const char *vmx)
{
    Text path(vmx);
    for (VARTYPE none : {VT_DISPATCH, VT_UNKNOWN, VT_NULL, VT_EMPTY, VT_I4}) {
        Value job;
        CHECK_RESULT(call(host, L"OpenVM", DISPATCH_METHOD, {text_arg(path), empty_arg(none)}, &job.value), S_OK);
        CHECK(job.value.vt == VT_DISPATCH);
        CHECK(wait(Job::of(job.value.pdispVal)) == 0);
    }
    for (VARTYPE none : {VT_EMPTY, VT_NULL, VT_BSTR}) {
        Value job;
        CHECK_RESULT(call(host, L"OpenVM", DISPATCH_METHOD, {empty_arg(none), empty_arg(VT_DISPATCH)}, &job.value),
                     S_OK);
        CHECK(wait(Job::of(job.value.pdispVal)) == VIX_E_INVALID_ARG);
    }
}

static void wrong_arguments(const Host &host, const Vm &vm, const char *vmx)
{
    Text path(vmx), words("no number");
    Value answer;
    VARIANT some_object = empty_arg(VT_DISPATCH);
    some_object.pdispVal = host;
    VARIANT nobody = empty_arg(VT_DISPATCH);
    CHECK_RESULT(call(host, L"NoSuchMethod", DISPATCH_METHOD, {}, &answer.value), DISP_E_UNKNOWNNAME);
    CHECK_RESULT(call(host, L"OpenVM", DISPATCH_METHOD, {text_arg(path)}, &answer.value), DISP_E_BADPARAMCOUNT);
    CHECK_RESULT(call(vm, L"PowerOn", DISPATCH_METHOD, {text_arg(words), nobody, nobody}, &answer.value),
                 DISP_E_TYPEMISMATCH);
    /* A host is no snapshot. */
    CHECK_RESULT(call(vm, L"Clone", DISPATCH_METHOD,
                      {some_object, number_arg(VIX_CLONETYPE_FULL), text_arg(path), number_arg(0), nobody, nobody},
                      &answer.value),
                 DISP_E_TYPEMISMATCH);
    /* Names have no case; the default property is the object. */
    CHECK_RESULT(call(vm, L"gethandletype", DISPATCH_METHOD, {}, &answer.value), S_OK);
    CHECK(answer.value.vt == VT_I4 && answer.value.lVal == VIX_HANDLETYPE_VM);
    DISPPARAMS none = {};
    static const IID NO_IID = {};
    CHECK_RESULT(vm->Invoke(DISPID_VALUE, NO_IID, LOCALE_USER_DEFAULT, DISPATCH_PROPERTYGET, &none, &answer.value,
                            nullptr, nullptr),
                 S_OK);
    CHECK(answer.value.vt == VT_DISPATCH && same(Vm::of(answer.value.pdispVal), vm));
    VariantClear(&answer.value);
}

/* Errors come as any kind of number from scripts. */
static void kinds_of_errors()
{
    for (VARTYPE type : {VT_UI8, VT_I8, VT_I4, VT_UI4, VT_I2, VT_R8}) {
        Value given, answer;
        given.value.vt = VT_I4;
        given.value.lVal = VIX_E_VM_IS_RUNNING;
        well("number", VariantChangeType(&given.value, &given.value, 0, type));
        CHECK_RESULT(call(library(), L"ErrorCode", DISPATCH_METHOD, {given.value}, &answer.value), S_OK);
        CHECK(answer.value.vt == VT_I2 && answer.value.iVal == VIX_E_VM_IS_RUNNING);
        CHECK_RESULT(call(library(), L"ErrorIndicatesFailure", DISPATCH_METHOD, {given.value}, &answer.value), S_OK);
        CHECK(answer.value.vt == VT_BOOL && answer.value.boolVal == VARIANT_TRUE);
    }
}

/* ---- Property lists ---- */

/* COM has no way to make one; any other object is refused by the job. */
static void list_that_is_none(const Vm &vm, const std::string &folder)
{
    IJob *job = nullptr;
    std::string path = folder + "\\list\\list.vmx";
    CHECK_RESULT(vm->Clone(nullptr, VIX_CLONETYPE_FULL, T(path.c_str()), 0, Handle::of(vm), nullptr, &job), S_OK);
    CHECK(wait(Job(job)) == VIX_E_INVALID_ARG);
}

/* Clone returns at once, however long it takes. */
static void clone_returns_at_once(const Vm &vm, const std::string &folder)
{
    std::string path = folder + "\\once\\once.vmx";
    ULONGLONG start = GetTickCount64();
    Job job = VM_JOB(vm, Clone, NO_SNAPSHOT, VIX_CLONETYPE_FULL, T(path.c_str()), 0, NO_LIST, NO_CALLBACK);
    CHECK(GetTickCount64() - start < 1000);
    CHECK(wait(job) == 0);
}

/* The library's module Constants, under its own name. */
static void constants_by_name()
{
    CLSID class_id;
    IDispatch *root = nullptr;
    Value constants, value;
    well("CLSIDFromProgID", CLSIDFromProgID(L"VixCOM", &class_id));
    well("CoCreateInstance",
         CoCreateInstance(class_id, nullptr, CLSCTX_INPROC_SERVER, IID_IDispatch, (void **)&root));
    CHECK_RESULT(call(root, L"Constants", DISPATCH_PROPERTYGET, {}, &constants.value), S_OK);
    CHECK_RESULT(call(constants.value.pdispVal, L"VIX_CLONETYPE_LINKED", DISPATCH_PROPERTYGET, {}, &value.value), S_OK);
    CHECK(value.value.vt == VT_I4 && value.value.lVal == VIX_CLONETYPE_LINKED);
    CHECK_RESULT(call(constants.value.pdispVal, L"VIX_NO_SUCH", DISPATCH_PROPERTYGET, {}, &value.value),
                 DISP_E_UNKNOWNNAME);
    root->Release();
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    library();
    constants_by_name();
    kinds_of_errors();
    Host host = here();
    Job opening = HOST_JOB(host, OpenVM, T(argv[1]), NO_CALLBACK);
    Vm vm = made_by<Vm>("open", opening);
    Snapshot snapshot;
    succeed("find", VM_GET(vm, GetNamedSnapshot, T("cold"), snapshot.out()));
    interfaces(host, vm, opening, snapshot);
    counting(vm);
    null_pointers(host, vm, opening, snapshot);
    forms_of_ids(opening);
    wrong_ids(opening);
    nothings(host, argv[1]);
    wrong_arguments(host, vm, argv[1]);
    list_that_is_none(vm, argv[2]);
    clone_returns_at_once(vm, argv[2]);
    disconnect(host);
    printf("done\n");
    return 0;
}
