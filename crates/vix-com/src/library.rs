//! `VixCOM.VixLib`: connecting, and what errors mean.

use vix::HostSpec;
use vix::constants::VIX_OK;
use windows::Win32::Foundation::VARIANT_BOOL;
use windows_core::{BSTR, HRESULT, implement};

use crate::dispatch::dispatched;
use crate::guard::{answer, job};
use crate::interfaces::{ICallback, IJob, IVixHandle, IVixLib, IVixLib_Impl};
use crate::process::Use;
use crate::types::{In, InText, Out, OutObject};

/// The object that clients create.
#[implement(IVixLib)]
pub(crate) struct VixLib(Use);

impl VixLib {
    pub(crate) fn new() -> Self {
        Self(Use::new())
    }
}

dispatched!(VixLib_Impl: IVixLib);

impl IVixLib_Impl for VixLib_Impl {
    unsafe fn Connect(
        &self,
        api_version: i32,
        host_type: i32,
        host_name: InText,
        _host_port: i32,
        user_name: InText,
        password: InText,
        options: i32,
        list: In<IVixHandle>,
        callback: In<ICallback>,
        out: OutObject<IJob>,
    ) -> HRESULT {
        job(callback, out, |library, callback| {
            let spec = HostSpec {
                api_version,
                provider: host_type,
                name: host_name.read(),
                account: (user_name.read(), password.read()),
                options,
                list: list.number()?,
            };
            Ok(library.connect(spec, callback))
        })
    }

    unsafe fn GetErrorText(&self, err: u64, _locale: InText, text: Out<BSTR>) -> HRESULT {
        answer(text, || Ok(BSTR::from(vix::error::text(err))))
    }

    unsafe fn ErrorCode(&self, err: u64, code: Out<i16>) -> HRESULT {
        // Public codes are below 32768.
        answer(code, || Ok((err & 0xffff) as i16))
    }

    unsafe fn ErrorIndicatesSuccess(&self, err: u64, is_success: Out<VARIANT_BOOL>) -> HRESULT {
        answer(is_success, || Ok((err == VIX_OK).into()))
    }

    unsafe fn ErrorIndicatesFailure(&self, err: u64, is_failure: Out<VARIANT_BOOL>) -> HRESULT {
        answer(is_failure, || Ok((err != VIX_OK).into()))
    }
}
