"""One thin shell per protocol that is not OpenD's own."""
