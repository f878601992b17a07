' Objects of VBScript that are told of jobs: one with OnVixEvent, one with a default method.
'
' callbacks.vbs VMX CLONE
'
' Says a line for each end of a job.
Dim err
Set VixCOM = CreateObject("VixCOM")
Set c = VixCOM.Constants
Set lib = CreateObject("VixCOM.VixLib")

Sub Tell(who, job, eventType)
   If eventType = c.VIX_EVENTTYPE_JOB_COMPLETED Then
      WScript.Echo who & ": " & lib.ErrorCode(job.GetError())
   End If
End Sub

Class Listener
   Public Name
   Public Sub OnVixEvent(job, eventType, info)
      Tell Name, job, eventType
   End Sub
End Class

Class ByDefault
   Public Default Sub Heard(job, eventType, info)
      Tell "default", job, eventType
   End Sub
End Class

' Who is told of found VMs: they are told within the job.
Class Finder
   Public Sub OnVixEvent(job, eventType, info)
      Dim values, code
      If eventType = c.VIX_EVENTTYPE_FIND_ITEM Then
         code = info.GetProperties(Array(c.VIX_PROPERTY_FOUND_ITEM_LOCATION), values)
         WScript.Echo "found " & values(0)
      End If
   End Sub
End Class

Function Called(name)
   Set Called = New Listener
   Called.Name = name
End Function

Function Made(job)
   Dim results
   code = job.Wait(Array(c.VIX_PROPERTY_JOB_RESULT_HANDLE), results)
   Set Made = results(0)
End Function

vmx = WScript.Arguments(0)
Set host = Made(lib.Connect(c.VIX_API_VERSION, c.VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, Empty, 0, Empty, Empty, 0, Nothing, Called("connect")))
Set vm = Made(host.OpenVM(vmx, New ByDefault))
Set job = host.RegisterVM(vmx, Called("register"))
code = job.WaitWithoutResults()
Set job = host.FindItems(c.VIX_FIND_REGISTERED_VMS, Nothing, -1, New Finder)
code = job.WaitWithoutResults()
Set clone = Made(vm.Clone(Nothing, c.VIX_CLONETYPE_LINKED, WScript.Arguments(1), 0, Nothing, Called("clone")))
Set job = vm.Clone(Nothing, c.VIX_CLONETYPE_LINKED, WScript.Arguments(1), 0, Nothing, Called("clone again"))
code = job.WaitWithoutResults()
host.Disconnect
WScript.Echo "END"
