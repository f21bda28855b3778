//! The simulated kernel, by itself and beside the real one.
#[path = "support/sim/mod.rs"]
mod sim;
#[test]
fn t(){ let mut k=sim::Kernel::new(1); let s=k.socket(&[1],1<<20); let _=k.perform(&sim::Op::Create{name:"a".into(),kind:"veth"}); k.settle(); println!("{}",k.text()); let _=k.receive(s);}
