//! Randomness from a seed alone (splitmix64).

#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 up to, but not including, `below` (at least 1).
    pub fn below(&mut self, below: usize) -> usize {
        (self.next() % below.max(1) as u64) as usize
    }

    /// A random local unicast address, as `eth_random_addr`.
    pub fn mac(&mut self) -> [u8; 6] {
        let bytes = self.next().to_ne_bytes();
        [(bytes[0] & 0xfe) | 0x02, bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]
    }
}
