"""Layer 8: what third parties test their own plug-ins with, and what this package tests itself with."""
