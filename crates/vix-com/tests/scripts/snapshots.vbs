' Clones of a snapshot, in VBScript.
'
' snapshots.vbs HOW VMX CLONE
'
' HOW is `named` for a linked clone of the snapshot `golden`, `tree` for the same, found by walking the tree,
' `full` for a full clone of it, `now` for a full clone of the present state. The clone is powered on.
Dim err
Set VixCOM = CreateObject("VixCOM")
Set c = VixCOM.Constants
Set lib = CreateObject("VixCOM.VixLib")

Sub Succeed(what, code)
   If lib.ErrorIndicatesFailure(code) Then
      WScript.Echo what & ": " & lib.ErrorCode(code) & ", " & lib.GetErrorText(code, Empty)
      WScript.Quit 1
   End If
End Sub

Function Made(what, job)
   Dim results
   Succeed what, job.Wait(Array(c.VIX_PROPERTY_JOB_RESULT_HANDLE), results)
   Set Made = results(0)
End Function

Function NameOf(snapshot)
   Dim values
   Succeed "name", snapshot.GetProperties(Array(c.VIX_PROPERTY_SNAPSHOT_DISPLAYNAME), values)
   NameOf = values(0)
End Function

' The snapshot of a name below another, Nothing if there is none.
Function Below(parent, name)
   Dim count, i, child, found
   Set found = Nothing
   Succeed "children", parent.GetNumChildren(count)
   For i = 0 To count - 1
      Succeed "child", parent.GetChild(i, child)
      If found Is Nothing Then
         If NameOf(child) = name Then
            Set found = child
         Else
            Set found = Below(child, name)
         End If
      End If
   Next
   Set Below = found
End Function

how = WScript.Arguments(0)
Set host = Made("connect", lib.Connect(c.VIX_API_VERSION, c.VIX_SERVICEPROVIDER_VMWARE_WORKSTATION, Empty, 0, Empty, Empty, 0, Nothing, Nothing))
Set vm = Made("open", host.OpenVM(WScript.Arguments(1), Nothing))
Set snapshot = Nothing
cloneType = c.VIX_CLONETYPE_LINKED
Select Case how
Case "named"
   Succeed "find", vm.GetNamedSnapshot("golden", snapshot)
Case "full"
   Succeed "find", vm.GetNamedSnapshot("golden", snapshot)
   cloneType = c.VIX_CLONETYPE_FULL
Case "tree"
   Succeed "root", vm.GetRootSnapshot(0, root)
   Set snapshot = Below(root, "golden")
Case "now"
   cloneType = c.VIX_CLONETYPE_FULL
End Select
Set clone = Made("clone", vm.Clone(snapshot, cloneType, WScript.Arguments(2), 0, Nothing, Nothing))
Set job = clone.PowerOn(c.VIX_VMPOWEROP_NORMAL, Nothing, Nothing)
Succeed "power on", job.WaitWithoutResults()
host.Disconnect
WScript.Echo "END"
