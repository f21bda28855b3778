//! The main job in one command: see README.
use netlinkdb::{Bridge, Db, NetNs, Veth};

fn main() -> Result<(), netlinkdb::Error> {
    NetNs::enter_private()?;
    let db = Db::open()?;
    let mut tx = db.begin();
    let br0 = tx.create(Bridge::new("br0").stp_state(true))?;
    let v0 = tx.create(Veth::new("veth0", "peer0"))?;
    let v1 = tx.create(Veth::new("veth1", "peer1"))?;
    tx.interface(&br0)
        .add_port(&v0)?
        .add_port(&v1)?
        .add_ip("10.0.0.1/24")?
        .add_ip("10.0.0.2/24")?
        .add_ip("fd00::1/64")?
        .set_alias("the bridge")
        .up();
    tx.interface("veth0").up();
    tx.interface("veth1").up();
    tx.interface("peer0").up().add_ip("10.0.0.9/24")?;
    println!("{}", tx.review());
    let done = tx.commit()?;
    println!("{}", done.snapshot());
    println!("{:?}", db.losses());
    let before = db.sync()?;
    let mut tx = db.begin();
    tx.interface("br0")
        .add_ip("10.9.0.1/24")?
        .set_alias("x")
        .bridge(netlinkdb::BridgeOptions::new().forward_delay(1500u32))?
        .set_group(4);
    tx.interface("veth0").set_mtu(1300);
    tx.interface("lo").del_ip("127.0.0.1/8").err();
    tx.interface("peer0").set_address("01:00:00:00:00:00".parse()?);
    println!("{}", tx.review());
    let e = tx.commit().unwrap_err();
    println!("{e}\n{:?}", e.is_rolled_back());
    let after = db.sync()?;
    for c in &before.diff(&after) {
        println!("{c}");
    }
    let mut tx = db.begin();
    tx.remove("br0")?;
    tx.remove("veth0")?;
    tx.interface("peer1").set_address("01:00:00:00:00:00".parse()?);
    println!("{}", tx.review());
    println!("{:?}", tx.commit().err());
    let before = db.sync()?;
    let mut tx = db.begin();
    tx.remove("br0")?;
    tx.remove("veth0")?;
    tx.commit()?;
    println!("{}", db.sync()?);
    for c in &before.diff(&db.sync()?) {
        println!("{c}");
    }
    Ok(())
}
