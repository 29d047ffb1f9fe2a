"""Many runs on many machines: planned, launched, followed and looked at."""
