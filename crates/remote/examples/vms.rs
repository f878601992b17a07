//! Lists the VMs that run on the host, and the registered ones: `vms`, on Linux or within Wine.

fn main() -> replix::Result<()> {
    let host = replix_remote::connect()?;
    for vm in host.running()? {
        println!("running {}", vm.path().display());
    }
    for vm in host.registered()? {
        println!("registered {}", vm.path().display());
    }
    Ok(())
}
