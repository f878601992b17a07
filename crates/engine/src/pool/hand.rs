//! VMs handed out and taken back.

use std::path::Path;

use super::record::{Claim, Owner, Stage};
use super::{Handout, Keep, Pool, Ready};
use crate::error::{Error, Kind, Result, quoted};
use crate::job::Job;
use crate::power::StartSpec;
use crate::store::{Local, Store};

/// So many VMs in a row that do not start are not their own fault: the others stay.
const USELESS: u32 = 2;

/// Whether an error is this machine's, or this call's: another VM would not start either.
fn is_of_machine(kind: Kind) -> bool {
    use Kind::{Cancelled, Denied, Io, NoHypervisor, NoSpace, ReadOnly};
    matches!(
        kind,
        Cancelled | Denied | Io | NoHypervisor | NoSpace | ReadOnly
    )
}

impl Pool<'_> {
    /// Hands a VM out, running, to nobody else: one that is ready, else one that is made now, which
    /// the job's warnings say.
    ///
    /// # Errors
    /// `Argument` where the owner does not live; `Cancelled`; what one could not be made for.
    pub fn take(&self, keep: Keep, job: &Job) -> Result<Handout> {
        let claim = Claim::of(keep)?;
        let mut useless = 0;
        while let Some(name) = self.pick(&claim, job)? {
            let error = match self.start(&name, &claim, job) {
                Ok(()) => return Ok(self.handout(name, true)),
                Err(error) => error,
            };
            if is_of_machine(error.kind()) && self.is_fit(&name) {
                self.change(&name, |record| record.stage = Stage::Ready)?;
                return Err(error);
            }
            let error = self.given_up(&name, error, job);
            useless += 1;
            if useless == USELESS {
                return Err(error);
            }
            job.check()?;
            job.warn(format!("{} was of no use: {error}", quoted(&name)));
        }
        // Who has a VM that is ready is not kept waiting for what can be done at any time.
        self.clean(job)?;
        job.warn(format!(
            "no VM of the pool {} is ready: one is made",
            quoted(&self.dir)
        ));
        let name = {
            let _lock = self.lock(job)?;
            self.require_open()?;
            self.reserve()?
        };
        let made = match self.spec.ready {
            Ready::Off => self.make(&name, Ready::Off, job),
            Ready::Started | Ready::Suspended => self.make(&name, Ready::Started, job),
        };
        made.and_then(|()| self.start(&name, &claim, job))
            .map_err(|error| self.given_up(&name, error, job))?;
        Ok(self.handout(name, false))
    }

    /// Chooses the VM that has been ready for longest, for this process alone.
    fn pick(&self, claim: &Claim, job: &Job) -> Result<Option<String>> {
        let _lock = self.lock(job)?;
        self.require_open()?;
        for (name, mut record) in self.records(job)? {
            // One that is not as it should be is left to who cleans.
            if record.stage == Stage::Ready && self.is_fit(&name) {
                record.stage = Stage::Handing {
                    by: Some(Owner::this()),
                    claim: claim.clone(),
                };
                self.remember(&name, &record)?;
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Starts a VM, if it does not run, and remembers who has it.
    fn start(&self, name: &str, claim: &Claim, job: &Job) -> Result<()> {
        let vm = &self.vmx(name);
        if !self.host.state(vm)?.is_on() {
            job.phase(format!("starting {}", quoted(name)));
            self.host.power_on(vm, &StartSpec::default(), job)?;
        }
        job.check()?;
        let claim = claim.clone().begun();
        self.change(name, |record| record.stage = Stage::Taken { claim })
    }

    fn handout(&self, name: String, warm: bool) -> Handout {
        let vm = self.vmx(&name);
        Handout { name, vm, warm }
    }

    /// Takes a VM back that was handed out, and destroys it. `vm` is its configuration, its folder or
    /// its name.
    ///
    /// # Errors
    /// `Argument` for a VM that is none of the pool's, or was not handed out; `Busy` where it is
    /// already being destroyed, or clones of it live; those of [`Pool::clean`].
    pub fn give(&self, vm: &Path, job: &Job) -> Result<String> {
        let name = self.name_of(vm)?;
        {
            let _lock = self.lock(job)?;
            let mut record = self.record(&name)?;
            match record.stage {
                Stage::Taken { .. } => {}
                _ if record.is_over() => {}
                Stage::Ready | Stage::Making { .. } => {
                    let text = format!("{} was not handed out", quoted(&name));
                    return Err(Error::new(Kind::Argument, text).at(&self.vmx(&name)));
                }
                Stage::Handing { .. } | Stage::Leaving { .. } => {
                    let by = record.process().map_or(0, |owner| owner.pid);
                    let text = format!("process {by} is at work on {}", quoted(&name));
                    return Err(Error::new(Kind::Busy, text).at(&self.vmx(&name)));
                }
            }
            record.stage = Stage::Leaving {
                by: Some(Owner::this()),
            };
            self.remember(&name, &record)?;
        }
        self.destroy(&name, job)?;
        Ok(name)
    }

    /// Returns the name of the VM that a path stands for.
    fn name_of(&self, vm: &Path) -> Result<String> {
        let foreign = || {
            let text = format!("{} is no VM of the pool {}", quoted(vm), quoted(&self.dir));
            Error::new(Kind::Argument, text).at(vm)
        };
        let text = vm.to_str().ok_or_else(foreign)?;
        let known = |name: &str| self.is_known(name).then(|| name.to_string());
        if let Some(name) = known(text) {
            return Ok(name);
        }
        let path = Local.canonical(vm).map_err(|_| foreign())?;
        let rest = path.strip_prefix(&self.dir).map_err(|_| foreign())?;
        let name = rest.iter().next().and_then(|name| name.to_str());
        let name = name.and_then(known).ok_or_else(foreign)?;
        let is_it = path == self.folder(&name) || path == self.vmx(&name);
        is_it.then_some(name).ok_or_else(foreign)
    }
}
