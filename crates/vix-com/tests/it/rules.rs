//! What COM asks of objects, and C has not.

use crate::client::{Client, Way};
use crate::fixtures::with_snapshots;
use crate::wine::Wine;

#[test]
fn objects_keep_the_rules_of_com() {
    let Some(wine) = Wine::new() else { return };
    let vm = with_snapshots(&wine.machines(), &["cold"]);
    let folder = wine.name_of(&vm.dir);
    let client = Client::new("rules", Way::BySlot);
    assert_eq!(
        client.run(&wine, &[&wine.name_of(&vm.vmx), &folder]),
        ["done"]
    );
}
