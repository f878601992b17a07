/* listener.h: who is called about a job, for com.h. */
#ifndef LISTENER_H
#define LISTENER_H

#include <atomic>

/*
 * By slot, an object that answers to ICallback. By name, one that has nothing but IDispatch and knows its
 * one method by its name, as the objects of scripts are.
 */
class Listener : public ICallback {
public:
    /* In a single-threaded apartment all is told on its thread; else on others. */
    explicit Listener(bool is_of_one_thread = true) : is_of_one_thread(is_of_one_thread) {}

    /* Waits for the job, within which an apartment's thread is told all, and returns what was told. */
    Told await(const Job &job)
    {
        wait(job);
        for (int i = 0; !is_of_one_thread && !has_ended && i < MOST_MILLISECONDS; i++) {
            Sleep(1);
        }
        told.wrong += is_of_one_thread != (thread == GetCurrentThreadId());
        return told;
    }

    STDMETHODIMP QueryInterface(REFIID iid, void **object) override
    {
        bool is_mine = iid == IID_IUnknown || iid == IID_IDispatch;
#ifdef BY_SLOT
        is_mine = is_mine || iid == IID_ICallback;
#endif
        *object = is_mine ? this : nullptr;
        return is_mine ? (AddRef(), S_OK) : E_NOINTERFACE;
    }
    STDMETHODIMP_(ULONG) AddRef() override { return ++references; }
    STDMETHODIMP_(ULONG) Release() override { return --references; }

    STDMETHODIMP GetTypeInfoCount(UINT *count) override
    {
        *count = 0;
        return S_OK;
    }
    STDMETHODIMP GetTypeInfo(UINT, LCID, ITypeInfo **) override { return E_NOTIMPL; }
    STDMETHODIMP GetIDsOfNames(REFIID, LPOLESTR *names, UINT, LCID, DISPID *ids) override
    {
        ids[0] = METHOD;
        return lstrcmpiW(names[0], L"OnVixEvent") == 0 ? S_OK : DISP_E_UNKNOWNNAME;
    }
    STDMETHODIMP Invoke(DISPID id, REFIID, LCID, WORD, DISPPARAMS *given, VARIANT *, EXCEPINFO *, UINT *) override
    {
        const VARIANT *args = given->rgvarg;
        if (id != METHOD || given->cArgs != 3 || args[2].vt != VT_DISPATCH || args[1].vt != VT_I4 ||
            args[0].vt != VT_DISPATCH) {
            told.wrong++;
            return DISP_E_MEMBERNOTFOUND;
        }
        hear(Job::of(args[2].pdispVal), args[1].lVal, args[0].pdispVal);
        return S_OK;
    }

    STDMETHODIMP OnVixEvent(IJob *job, LONG event, IVixHandle *info) override
    {
        hear(Job::of(job), event, info);
        return S_OK;
    }

private:
    static const DISPID METHOD = 7;
    static const int MOST_MILLISECONDS = 30000;

    void hear(const Job &job, LONG event, IDispatch *info)
    {
        thread = GetCurrentThreadId();
        told.wrong += told.completed > 0;
        switch (event) {
        case VIX_EVENTTYPE_JOB_COMPLETED:
            told.completed++;
            told.error = job_error(job);
            has_ended = true;
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
    }

    std::atomic<ULONG> references = 1;
    std::atomic<bool> has_ended = false;
    const bool is_of_one_thread;
    DWORD thread = 0;
    Told told;
};

#endif
