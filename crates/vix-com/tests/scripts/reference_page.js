// The example of the reference page of Clone in JScript. Arguments: the VM, the clone, and where it is not the
// present state that is cloned, a snapshot's name.
//
// JScript hands no variable over to be filled: what is handed over is an array, and results go into that.
var constants = new ActiveXObject("VixCOM").Constants;
var lib = new ActiveXObject("VixCOM.VixLib");

function succeed(what, err) {
    if (lib.ErrorIndicatesFailure(err)) {
        WScript.Echo(what + ": " + lib.GetErrorText(err, null));
        WScript.Quit(1);
    }
}

function made(what, job) {
    var results = [];
    succeed(what, job.Wait([constants.VIX_PROPERTY_JOB_RESULT_HANDLE], results));
    return results[0];
}

var host = made("connect", lib.Connect(constants.VIX_API_VERSION, constants.VIX_SERVICEPROVIDER_VMWARE_WORKSTATION,
                                       null, 0, null, null, 0, null, null));
var vm = made("open", host.OpenVM(WScript.Arguments(0), null));
var found = [null];
if (WScript.Arguments.length > 2) {
    succeed("find", vm.GetNamedSnapshot(WScript.Arguments(2), found));
}
var clone = made("clone", vm.Clone(found[0], constants.VIX_CLONETYPE_LINKED, WScript.Arguments(1), 0, null, null));
var job = clone.PowerOn(constants.VIX_VMPOWEROP_LAUNCH_GUI, null, null);
succeed("power on", job.WaitWithoutResults());
WScript.Echo("END");
