/*
 * clone_cases.cpp: tries to clone a VM in many ways, and prints one line of how each ends.
 *
 * clone_cases PROVIDER VMX CASE...
 *
 * A VM that cannot be opened has one line, of how that ends.
 *
 * A case is TYPE,SNAPSHOT,OPTIONS,DESTINATION: two numbers, the name of a snapshot, or `-` for the present
 * state, or `of PATH` for the first of another VM; a destination `-` is none.
 */
#include <sstream>
#include <vector>

#include "binding.h"

static std::vector<std::string> parts_of(const std::string &text)
{
    std::vector<std::string> parts;
    std::istringstream in(text);
    std::string part;
    while (std::getline(in, part, ',')) {
        parts.push_back(part);
    }
    parts.resize(4);
    return parts;
}

static Vm open_vm(const Host &host, const std::string &vmx)
{
    return made_by<Vm>("open", HOST_JOB(host, OpenVM, T(vmx.c_str()), NO_CALLBACK));
}

static Snapshot find(const Host &host, const Vm &vm, const std::string &name)
{
    Snapshot found;
    if (name.rfind("of ", 0) == 0) {
        Vm other = open_vm(host, name.substr(3));
        succeed("root", VM_GET(other, GetRootSnapshot, 0, found.out()));
    } else if (name != "-") {
        succeed("find", VM_GET(vm, GetNamedSnapshot, T(name.c_str()), found.out()));
    }
    return found;
}

static void try_case(const Host &host, const Vm &vm, const std::string &text)
{
    std::vector<std::string> parts = parts_of(text);
    Snapshot snapshot = find(host, vm, parts[1]);
    const char *destination = parts[3] == "-" ? nullptr : parts[3].c_str();
    Job job = VM_JOB(vm, Clone, snapshot, atoi(parts[0].c_str()), T(destination), atoi(parts[2].c_str()),
                     NO_LIST, NO_CALLBACK);
    Error error = wait(job);
    printf("%s: %llu, %s, result %s\n", text.c_str(), error, job_error(job) == error ? "twice" : "once",
           property(job, VIX_PROPERTY_JOB_RESULT_HANDLE).c_str());
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        return 2;
    }
    Host host = made_by<Host>("connect", connecting(atoi(argv[1]), 0, NO_CALLBACK));
    Job opening = HOST_JOB(host, OpenVM, T(argv[2]), NO_CALLBACK);
    if (wait(opening) != 0) {
        printf("open: %llu\n", wait(opening));
        return 0;
    }
    Vm vm = made_by<Vm>("open", opening);
    for (int i = 3; i < argc; i++) {
        try_case(host, vm, argv[i]);
    }
    disconnect(host);
    return 0;
}
