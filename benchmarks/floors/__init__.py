"""What no lock can be faster than: the bare steps of which every one of them is made."""
