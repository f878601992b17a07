' What may be left out, in the ways in which VBScript says so; a line for each with how it ends.
'
' nothing.vbs VMX
Dim err
Set VixCOM = CreateObject("VixCOM")
Set c = VixCOM.Constants
Set lib = CreateObject("VixCOM.VixLib")

Sub Ends(what, job)
   code = job.WaitWithoutResults()
   WScript.Echo what & ": " & lib.ErrorCode(code)
End Sub

Dim unset
vmx = WScript.Arguments(0)
Set job = lib.Connect(c.VIX_API_VERSION, c.VIX_SERVICEPROVIDER_DEFAULT, Null, 0, Empty, "", 0, Nothing, Nothing)
err = job.Wait(Array(c.VIX_PROPERTY_JOB_RESULT_HANDLE), results)
Set host = results(0)
Ends "open, Nothing", host.OpenVM(vmx, Nothing)
Ends "open, Null", host.OpenVM(vmx, Null)
Ends "open, Empty", host.OpenVM(vmx, Empty)
Ends "open, 0", host.OpenVM(vmx, 0)
Ends "open, unset", host.OpenVM(vmx, unset)
Ends "open, no path", host.OpenVM(Empty, Nothing)
Ends "open, empty path", host.OpenVM("", Nothing)
Set job = host.OpenVM(vmx, Nothing)
results = "held before"
err = job.Wait(Array(c.VIX_PROPERTY_JOB_RESULT_HANDLE), results)
Set vm = results(0)
Ends "clone, no path", vm.Clone(Nothing, c.VIX_CLONETYPE_LINKED, Empty, 0, Nothing, Nothing)
Ends "clone, no snapshot", vm.Clone(Null, 7, "c:\no\no.vmx", 0, Null, Null)
Ends "snapshot, no name", vm.CreateSnapshot(Empty, Null, 0, Nothing, Nothing)
Ends "variable, no name", vm.ReadVariable(c.VIX_VM_GUEST_VARIABLE, Empty, 0, Nothing)
WScript.Echo "ids: " & lib.ErrorCode(job.Wait(c.VIX_PROPERTY_JOB_RESULT_HANDLE, results)) & " " & UBound(results)
host.Disconnect
WScript.Echo "END"
