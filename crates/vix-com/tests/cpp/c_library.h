/* c_library.h: the C library for binding.h. */
#ifndef C_LIBRARY_H
#define C_LIBRARY_H

#include <condition_variable>
#include <mutex>

#include "vix.h"

typedef int Number;

/* A handle, counted. */
class Object {
public:
    Object() = default;
    explicit Object(VixHandle owned) : handle(owned) {}
    Object(const Object &other) : handle(other.handle) { Vix_AddRefHandle(handle); }
    Object &operator=(Object other)
    {
        std::swap(handle, other.handle);
        return *this;
    }
    ~Object() { Vix_ReleaseHandle(handle); }
    operator VixHandle() const { return handle; }
    VixHandle *out()
    {
        *this = Object();
        return &handle;
    }
    VixHandle give()
    {
        VixHandle given = handle;
        handle = VIX_INVALID_HANDLE;
        return given;
    }

private:
    VixHandle handle = VIX_INVALID_HANDLE;
};

typedef Object Host;
typedef Object Vm;
typedef Object Snapshot;
typedef Object Job;

#define T(text) text
#define NO_TEXT nullptr
#define YES TRUE
#define NO_LIST VIX_INVALID_HANDLE
#define NO_SNAPSHOT VIX_INVALID_HANDLE
#define NO_CALLBACK nullptr, nullptr
#define CALL(listener) Listener::call, &(listener)

/* COM has two methods for opening that C names differently. */
#define VixHost_OpenVM_ VixVM_Open
#define VixHost_RegisterVM_ VixHost_RegisterVM
#define VixHost_UnregisterVM_ VixHost_UnregisterVM
#define VixHost_FindItems_ VixHost_FindItems
#define VixHost_OpenVMEx_ VixHost_OpenVM

#define HOST_JOB(host, method, ...) Job(VixHost_##method##_(host, __VA_ARGS__))
#define VM_JOB(vm, method, ...) Job(VixVM_##method(vm, __VA_ARGS__))
#define VM_GET(vm, method, ...) VixVM_##method(vm, __VA_ARGS__)
#define SNAPSHOT_GET(snapshot, method, ...) VixSnapshot_##method(snapshot, __VA_ARGS__)

inline std::string error_text(Error error)
{
    return Vix_GetErrorText(error, nullptr);
}

inline int error_code(Error error)
{
    return VIX_ERROR_CODE(error);
}

inline bool is_success(Error error)
{
    return VIX_SUCCEEDED(error);
}

inline bool is_failure(Error error)
{
    return VIX_FAILED(error);
}

/* ---- Any object ---- */

inline int handle_type(VixHandle object)
{
    return Vix_GetHandleType(object);
}

inline Error property_type(VixHandle object, int id, int *type)
{
    return Vix_GetPropertyType(object, id, type);
}

inline std::string text_and_free(char *text)
{
    std::string copy = quoted(text);
    Vix_FreeBuffer(text);
    return copy;
}

/* What `get` says of a property: its value, or the error. */
template <class Get>
std::string value_by(int type, Get get)
{
    int number = 0;
    int64 wide = 0;
    Bool flag = 0;
    char *text = nullptr;
    VixHandle handle = VIX_INVALID_HANDLE;
    Error error = VIX_OK;
    switch (type) {
    case VIX_PROPERTYTYPE_INTEGER:
        error = get(&number);
        break;
    case VIX_PROPERTYTYPE_STRING:
        error = get(&text);
        break;
    case VIX_PROPERTYTYPE_BOOL:
        error = get(&flag);
        break;
    case VIX_PROPERTYTYPE_INT64:
        error = get(&wide);
        break;
    case VIX_PROPERTYTYPE_HANDLE:
        error = get(&handle);
        break;
    default:
        return "type " + std::to_string(type);
    }
    if (error != VIX_OK) {
        return "error " + ::number(error);
    }
    Object owned(handle);
    switch (type) {
    case VIX_PROPERTYTYPE_INTEGER:
        return std::to_string(number);
    case VIX_PROPERTYTYPE_STRING:
        return text_and_free(text);
    case VIX_PROPERTYTYPE_BOOL:
        return flag ? "true" : "false";
    case VIX_PROPERTYTYPE_INT64:
        return std::to_string(wide);
    default:
        return "object " + std::to_string(handle_type(handle));
    }
}

inline std::string property(VixHandle object, int id)
{
    int type = VIX_PROPERTYTYPE_INTEGER;
    Error error = Vix_GetPropertyType(object, id, &type);
    if (error != VIX_OK) {
        return "error " + number(error);
    }
    return value_by(type, [&](auto *value) {
        return Vix_GetProperties(object, id, value, VIX_PROPERTY_NONE);
    });
}

inline bool same(VixHandle one, VixHandle other)
{
    return one == other;
}

inline void close(Object &object)
{
    object = Object();
}

/* ---- Jobs ---- */

inline Error wait(VixHandle job)
{
    return VixJob_Wait(job, VIX_PROPERTY_NONE);
}

inline Error job_error(VixHandle job)
{
    return VixJob_GetError(job);
}

inline Error check_completion(VixHandle job, bool *complete)
{
    Bool flag = 0;
    Error error = VixJob_CheckCompletion(job, &flag);
    *complete = flag;
    return error;
}

template <class Made>
Made result_of(VixHandle job)
{
    Made made;
    VixJob_Wait(job, VIX_PROPERTY_JOB_RESULT_HANDLE, made.out(), VIX_PROPERTY_NONE);
    return made;
}

inline int record_count(VixHandle job, int id)
{
    return VixJob_GetNumProperties(job, id);
}

/* A text of the n-th record. */
inline std::string record(VixHandle job, int index, int id)
{
    return value_by(VIX_PROPERTYTYPE_STRING, [&](auto *value) {
        return VixJob_GetNthProperties(job, index, id, value, VIX_PROPERTY_NONE);
    });
}

/* ---- Who is called ---- */

class Listener {
public:
    /* Waits for the completion and returns what was told. */
    Told await(const Job &)
    {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [this] { return told.completed > 0; });
        return told;
    }

    static void call(VixHandle job, VixEventType event, VixHandle info, void *data)
    {
        static_cast<Listener *>(data)->hear(job, event, info);
    }

private:
    void hear(VixHandle job, VixEventType event, VixHandle info)
    {
        std::unique_lock<std::mutex> lock(mutex);
        told.wrong += told.completed > 0;
        switch (event) {
        case VIX_EVENTTYPE_JOB_COMPLETED:
            told.completed++;
            told.error = VixJob_GetError(job);
            break;
        case VIX_EVENTTYPE_JOB_PROGRESS:
            told.progress++;
            break;
        case VIX_EVENTTYPE_FIND_ITEM:
            told.found += property(info, VIX_PROPERTY_FOUND_ITEM_LOCATION) + " ";
            break;
        default:
            told.wrong++;
        }
        changed.notify_all();
    }

    std::mutex mutex;
    std::condition_variable changed;
    Told told;
};

/* ---- Hosts ---- */

#define connecting(provider, options, ...) \
    Job(VixHost_Connect(VIX_API_VERSION, provider, nullptr, 0, nullptr, nullptr, options, VIX_INVALID_HANDLE, __VA_ARGS__))

inline void disconnect(Host &host)
{
    VixHost_Disconnect(host.give());
}

inline void pump_events(const Host &host)
{
    Vix_PumpEvents(host, VIX_PUMPEVENTOPTION_NONE);
}

#endif
