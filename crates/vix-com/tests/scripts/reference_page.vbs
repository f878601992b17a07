' The example of the reference page of Clone, as the page has it: the VM and the clone are assigned without
' Set, separators of the clone's path are doubled, and what is waited for in the end is the clone's job again.
'
' Added are only what a page may leave out: `Dim err`, since VBScript has an object of this name; `Call`, since
' parentheses are refused without it; the constants by name; the library and the host.
Dim err
Set VixCOM = CreateObject("VixCOM")
Set lib = CreateObject("VixCOM.VixLib")
Set job = lib.Connect(VixCOM.Constants.VIX_API_VERSION, VixCOM.Constants.VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, Empty, 0, Empty, Empty, 0, Nothing, Nothing)
err = job.Wait(Array(VixCOM.Constants.VIX_PROPERTY_JOB_RESULT_HANDLE), results)
If lib.ErrorIndicatesFailure(err) Then
   WScript.Echo "connect: " & lib.GetErrorText(err, Empty)
   WScript.Quit 1
End If
Set host = results(0)

Set job = host.OpenVM("c:\Virtual Machines\vm1\ubuntu.vmx", Nothing)
err = job.Wait(Array(VixCOM.Constants.VIX_PROPERTY_JOB_RESULT_HANDLE), results)
If lib.ErrorIndicatesFailure(err) Then
   WScript.Echo "open: " & lib.GetErrorText(err, Empty)
   WScript.Quit 1
End If
vm = results(0)

Set job = vm.Clone(Nothing, VixCOM.Constants.VIX_CLONETYPE_LINKED, "c:\\Virtual Machines\\vm2\\ubuntuClone.vmx", 0, Nothing, Nothing)
err = job.Wait(Array(VixCOM.Constants.VIX_PROPERTY_JOB_RESULT_HANDLE), results)
If lib.ErrorIndicatesFailure(err) Then
   WScript.Echo "clone: " & lib.GetErrorText(err, Empty)
   WScript.Quit 1
End If
cloneVM = results(0)

Call cloneVM.PowerOn(VixCOM.Constants.VIX_VMPOWEROP_LAUNCH_GUI, Nothing, Nothing)
err = job.WaitWithoutResults()
If lib.ErrorIndicatesFailure(err) Then
   WScript.Echo "wait: " & lib.GetErrorText(err, Empty)
   WScript.Quit 1
End If
WScript.Echo "END"
