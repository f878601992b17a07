/* com.h: the COM library for binding.h, by the slots of the interfaces or by the names of the methods. */
#ifndef COM_H
#define COM_H

#include <initguid.h>
#include <windows.h>
#include <oaidl.h>
#include <oleauto.h>

#include "VixCOM.h"

typedef LONG Number;

/* Ends the program unless a call is well; a VIX error does not make it unwell. */
inline void well(const char *what, HRESULT result)
{
    if (result != S_OK) {
        printf("%s: HRESULT %08lx\n", what, (unsigned long)result);
        exit(1);
    }
}

/* ---- References ---- */

template <class Interface>
const IID &iid_of();

#define HAS_IID(Interface)                 \
    template <>                            \
    inline const IID &iid_of<Interface>()  \
    {                                      \
        return IID_##Interface;            \
    }
HAS_IID(IDispatch)
HAS_IID(IHost2)
HAS_IID(IVM2)
HAS_IID(ISnapshot)
HAS_IID(IJob)
HAS_IID(IVixHandle2)
HAS_IID(IVixLib)

template <class Interface>
class Ref {
public:
    Ref() = default;
    explicit Ref(Interface *owned) : p(owned) {}
    Ref(const Ref &other) : p(other.p)
    {
        if (p != nullptr) {
            p->AddRef();
        }
    }
    Ref &operator=(Ref other)
    {
        std::swap(p, other.p);
        return *this;
    }
    ~Ref()
    {
        if (p != nullptr) {
            p->Release();
        }
    }
    /* What another interface of the same object is. */
    static Ref of(IUnknown *other)
    {
        Ref ref;
        well("QueryInterface", other->QueryInterface(iid_of<Interface>(), (void **)&ref.p));
        return ref;
    }
    Interface *operator->() const { return p; }
    operator Interface *() const { return p; }
    Interface **out()
    {
        *this = Ref();
        return &p;
    }

private:
    Interface *p = nullptr;
};

/* ---- Texts ---- */

/* Returns a new text; none for none. */
inline BSTR from_utf8(const char *text)
{
    if (text == nullptr) {
        return nullptr;
    }
    int length = MultiByteToWideChar(CP_UTF8, 0, text, -1, nullptr, 0);
    BSTR made = SysAllocStringLen(nullptr, length - 1);
    MultiByteToWideChar(CP_UTF8, 0, text, -1, made, length);
    return made;
}

inline std::string to_utf8(BSTR text)
{
    int length = WideCharToMultiByte(CP_UTF8, 0, text, SysStringLen(text), nullptr, 0, nullptr, nullptr);
    std::string made(length, '\0');
    WideCharToMultiByte(CP_UTF8, 0, text, SysStringLen(text), &made[0], length, nullptr, nullptr);
    return made;
}

class Text {
public:
    explicit Text(const char *text) : text(from_utf8(text)) {}
    Text(const Text &) = delete;
    ~Text() { SysFreeString(text); }
    operator BSTR() const { return text; }

private:
    BSTR text;
};

#define T(text) Text(text)
#define NO_TEXT Text(nullptr)
#define YES VARIANT_TRUE
#define NO_LIST ((IVixHandle *)nullptr)
#define NO_SNAPSHOT ((ISnapshot *)nullptr)
#define NO_CALLBACK ((ICallback *)nullptr)
#define CALL(listener) (&(listener))

/* ---- Calls ---- */

#ifdef BY_SLOT

typedef Ref<IHost2> Host;
typedef Ref<IVM2> Vm;
typedef Ref<ISnapshot> Snapshot;
typedef Ref<IJob> Job;
typedef IJob *JobPointer;
typedef Ref<IVixLib> Library;
typedef Ref<IVixHandle2> Handle;

/* Calls a method and returns its answer. */
#define ASK(Answer, object, method, ...)                                            \
    ([&] {                                                                          \
        Answer answer_{};                                                           \
        well(#method, (object)->method(__VA_ARGS__ __VA_OPT__(, ) &answer_));       \
        return answer_;                                                             \
    }())
/* The same for a method that answers a VARIANT_BOOL, a SHORT to C++. */
#define ASK_BOOL(object, method, ...) (ASK(VARIANT_BOOL, object, method, __VA_ARGS__) != VARIANT_FALSE)
/* Calls a method that has no answer. */
#define DO(object, method, ...) well(#method, (object)->method(__VA_ARGS__))

#else

typedef Ref<IDispatch> Host;
typedef Ref<IDispatch> Vm;
typedef Ref<IDispatch> Snapshot;
typedef Ref<IDispatch> Job;
typedef IDispatch *JobPointer;
typedef Ref<IDispatch> Library;
typedef Ref<IDispatch> Handle;

#include "by_name.h"

#define ASK(Answer, object, method, ...) \
    answer<Answer>(#method, invoke(object, #method __VA_OPT__(, ) __VA_ARGS__))
#define ASK_BOOL(object, method, ...) ASK(bool, object, method, __VA_ARGS__)
#define DO(object, method, ...) nothing(#method, invoke(object, #method __VA_OPT__(, ) __VA_ARGS__))

#endif

#define HOST_JOB(host, method, ...) Job(ASK(JobPointer, host, method, __VA_ARGS__))
#define VM_JOB(vm, method, ...) Job(ASK(JobPointer, vm, method, __VA_ARGS__))
#define VM_GET(vm, method, ...) ASK(ULONGLONG, vm, method, __VA_ARGS__)
#define SNAPSHOT_GET(snapshot, method, ...) ASK(ULONGLONG, snapshot, method, __VA_ARGS__)

/* ---- The library ---- */

/* Which apartment the library is used from. */
inline DWORD apartment = COINIT_APARTMENTTHREADED;

/* The apartment of this thread, and the library in it. */
class Apartment {
public:
    Apartment()
    {
        CLSID class_id;
        IUnknown *made = nullptr;
        CoInitializeEx(nullptr, apartment);
        well("CLSIDFromProgID", CLSIDFromProgID(L"VixCOM.VixLib", &class_id));
        well("CoCreateInstance",
             CoCreateInstance(class_id, nullptr, CLSCTX_INPROC_SERVER, IID_IUnknown, (void **)&made));
        library = Library::of(made);
        made->Release();
    }
    ~Apartment()
    {
        library = Library();
        CoUninitialize();
    }
    Library library;
};

inline Library &library()
{
    static Apartment apartment;
    return apartment.library;
}

inline std::string error_text(Error error)
{
    BSTR text = ASK(BSTR, library(), GetErrorText, error, NO_TEXT);
    std::string copy = to_utf8(text);
    SysFreeString(text);
    return copy;
}

inline int error_code(Error error)
{
    return ASK(SHORT, library(), ErrorCode, error);
}

inline bool is_success(Error error)
{
    return ASK_BOOL(library(), ErrorIndicatesSuccess, error);
}

inline bool is_failure(Error error)
{
    return ASK_BOOL(library(), ErrorIndicatesFailure, error);
}

/* ---- Properties ---- */

/* A VARIANT that is cleared. */
class Value {
public:
    Value() { VariantInit(&value); }
    Value(const Value &) = delete;
    ~Value() { VariantClear(&value); }
    VARIANT value;
};

/* The list of one number that methods take, an array of LONG. */
class Ids : public Value {
public:
    explicit Ids(LONG id)
    {
        LONG index = 0;
        value.vt = VT_ARRAY | VT_I4;
        value.parray = SafeArrayCreateVector(VT_I4, 0, 1);
        SafeArrayPutElement(value.parray, &index, &id);
    }
};

/* Puts the one element of an array of results into `element`. */
inline void take_first(const Value &results, Value &element)
{
    LONG index = 0, last = -1;
    if (results.value.vt != (VT_ARRAY | VT_VARIANT) || SafeArrayGetDim(results.value.parray) != 1) {
        printf("results are a VARIANT of type %#x\n", results.value.vt);
        exit(1);
    }
    well("bounds", SafeArrayGetUBound(results.value.parray, 1, &last));
    if (last != 0) {
        printf("results have %ld elements\n", last + 1);
        exit(1);
    }
    well("results", SafeArrayGetElement(results.value.parray, &index, &element.value));
}

template <class Object>
LONG handle_type(const Object &object)
{
    return ASK(LONG, Handle::of(object), GetHandleType);
}

template <class Object>
Error property_type(const Object &object, LONG id, LONG *type)
{
    return ASK(ULONGLONG, Handle::of(object), GetPropertyType, id, type);
}

/* What an array of results, or the error, says. */
inline std::string said(Error error, const Value &results)
{
    if (error != 0) {
        return results.value.vt == VT_EMPTY ? "error " + number(error) : "error and results";
    }
    Value element;
    take_first(results, element);
    switch (element.value.vt) {
    case VT_I4:
        return std::to_string(element.value.lVal);
    case VT_BSTR:
        return quoted(to_utf8(element.value.bstrVal));
    case VT_BOOL:
        return element.value.boolVal != VARIANT_FALSE ? "true" : "false";
    case VT_I8:
        return std::to_string(element.value.llVal);
    case VT_DISPATCH: {
        IDispatch *object = element.value.pdispVal;
        return "object " + std::to_string(object == nullptr ? 0 : handle_type(object));
    }
    default:
        return "VARIANT of type " + std::to_string(element.value.vt);
    }
}

template <class Object>
std::string property(const Object &object, LONG id)
{
    Value results;
    Ids ids(id);
    Error error = ASK(ULONGLONG, Handle::of(object), GetProperties, ids.value, &results.value);
    return said(error, results);
}

template <class One, class Other>
bool same(const One &one, const Other &other)
{
#ifdef BY_SLOT
    Handle as_handle = Handle::of(other);
#else
    const Other &as_handle = other;
#endif
    return ASK_BOOL(Handle::of(one), Equals, as_handle);
}

template <class Object>
void close(Object &object)
{
    DO(Handle::of(object), Close);
    object = Object();
}

/* ---- Jobs ---- */

inline Error wait(const Job &job)
{
    return ASK(ULONGLONG, job, WaitWithoutResults);
}

inline Error job_error(const Job &job)
{
    return ASK(ULONGLONG, job, GetError);
}

inline Error check_completion(const Job &job, bool *complete)
{
    VARIANT_BOOL flag = VARIANT_FALSE;
    Error error = ASK(ULONGLONG, job, CheckCompletion, &flag);
    *complete = flag != VARIANT_FALSE;
    return error;
}

template <class Made>
Made result_of(const Job &job)
{
    Value results, element;
    Ids ids(VIX_PROPERTY_JOB_RESULT_HANDLE);
    if (ASK(ULONGLONG, job, Wait, ids.value, &results.value) != 0) {
        return Made();
    }
    take_first(results, element);
    return Made::of(element.value.pdispVal);
}

inline LONG record_count(const Job &job, LONG id)
{
    return ASK(LONG, job, GetNumProperties, id);
}

inline std::string record(const Job &job, LONG index, LONG id)
{
    Value results;
    Ids ids(id);
    Error error = ASK(ULONGLONG, job, GetNthProperties, index, ids.value, &results.value);
    return said(error, results);
}

#include "listener.h"

/* ---- Hosts ---- */

inline Job connecting(LONG provider, LONG options, ICallback *callback)
{
    return Job(ASK(JobPointer, library(), Connect, VIX_API_VERSION, provider, NO_TEXT, 0, NO_TEXT,
                   NO_TEXT, options, NO_LIST, callback));
}

inline void disconnect(Host &host)
{
    DO(host, Disconnect);
    host = Host();
}

inline void pump_events(const Host &host)
{
    DO(host, PumpEvents, VIX_PUMPEVENTOPTION_NONE);
}

#endif
