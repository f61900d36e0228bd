//! Shards that are numbers: nothing but how many there are.
