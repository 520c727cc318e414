//! placeholder
pub fn cases() -> Vec<test_lane::Trial> { vec![] }
