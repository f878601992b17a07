// Functions and objects of JScript that are told of jobs. Arguments: the VM, the clone.
//
// Says a line for each end of a job.
var constants = new ActiveXObject("VixCOM").Constants;
var lib = new ActiveXObject("VixCOM.VixLib");

function teller(name) {
    return function (job, eventType, info) {
        if (eventType == constants.VIX_EVENTTYPE_JOB_COMPLETED) {
            WScript.Echo(name + ": " + lib.ErrorCode(job.GetError()));
        }
    };
}

function made(job) {
    var results = [];
    job.Wait([constants.VIX_PROPERTY_JOB_RESULT_HANDLE], results);
    return results[0];
}

var host = made(lib.Connect(constants.VIX_API_VERSION, constants.VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, null, 0,
                            null, null, 0, null, teller("connect")));
var vm = made(host.OpenVM(WScript.Arguments(0), { OnVixEvent: teller("open") }));
made(vm.Clone(null, constants.VIX_CLONETYPE_FULL, WScript.Arguments(1), 0, null, teller("clone")));
vm.Clone(null, 7, WScript.Arguments(1), 0, null, teller("clone again")).WaitWithoutResults();
host.Disconnect();
WScript.Echo("END");
