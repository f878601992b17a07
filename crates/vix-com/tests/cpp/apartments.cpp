/*
 * apartments.cpp: objects are used by all threads, listeners on theirs; and the end of the library.
 *
 * apartments VMX FOLDER
 *
 * The program's main thread is in the multithreaded apartment.
 */
#include <thread>

#include "com_check.h"

/* What a single-threaded apartment does with a VM of another one. */
static void clone_in_apartment(const Vm &vm, const std::string &path)
{
    CoInitializeEx(nullptr, COINIT_APARTMENTTHREADED);
    {
        Listener listener;
        Job job = VM_JOB(vm, Clone, NO_SNAPSHOT, VIX_CLONETYPE_FULL, T(path.c_str()), 0, NO_LIST, CALL(listener));
        Told told = listener.await(job);
        CHECK(told.completed == 1 && told.error == 0 && told.wrong == 0);
        CHECK(handle_type(result_of<Vm>(job)) == VIX_HANDLETYPE_VM);
    }
    CoUninitialize();
}

/* Objects come as they are through COM's own way between apartments. */
static void unmarshal(IStream *stream, IVM2 *vm)
{
    CoInitializeEx(nullptr, COINIT_APARTMENTTHREADED);
    IDispatch *arrived = nullptr;
    CHECK_RESULT(CoGetInterfaceAndReleaseStream(stream, IID_IDispatch, (void **)&arrived), S_OK);
    Vm same_vm = Vm::of(arrived);
    CHECK((IVM2 *)same_vm == vm);
    arrived->Release();
    same_vm = Vm();
    CoUninitialize();
}

static void use(const char *vmx, const std::string &folder)
{
    Host host = here();
    Listener listener(false);
    Job opening = HOST_JOB(host, OpenVM, T(vmx), CALL(listener));
    Told told = listener.await(opening);
    CHECK(told.completed == 1 && told.error == 0 && told.wrong == 0);
    Vm vm = result_of<Vm>(opening);
    std::thread([&] { clone_in_apartment(vm, folder + "\\one\\one.vmx"); }).join();
    std::thread one([&] { clone_in_apartment(vm, folder + "\\two\\two.vmx"); });
    std::thread other([&] { clone_in_apartment(vm, folder + "\\three\\three.vmx"); });
    one.join();
    other.join();
    IStream *stream = nullptr;
    CHECK_RESULT(CoMarshalInterThreadInterfaceInStream(IID_IDispatch, vm, &stream), S_OK);
    std::thread([&] { unmarshal(stream, vm); }).join();
    disconnect(host);
}

/* The library may go once no object of it is left, not before. */
static void end_of_library(const char *vmx, const std::string &folder)
{
    typedef HRESULT STDMETHODCALLTYPE CanUnload();
    apartment = COINIT_MULTITHREADED;
    library();
    HMODULE dll = GetModuleHandleW(L"VixCOM.dll");
    CHECK(dll != nullptr);
    CanUnload *can_unload = (CanUnload *)(void *)GetProcAddress(dll, "DllCanUnloadNow");
    CHECK(can_unload != nullptr);
    CHECK_RESULT(can_unload(), S_FALSE);
    use(vmx, folder);
    CHECK_RESULT(can_unload(), S_FALSE);
    library() = Library();
    /* A listener is let go after its last event, by another thread. */
    for (int i = 0; can_unload() != S_OK && i < 5000; i++) {
        Sleep(1);
    }
    CHECK_RESULT(can_unload(), S_OK);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        return 2;
    }
    end_of_library(argv[1], argv[2]);
    printf("done\n");
    return 0;
}
