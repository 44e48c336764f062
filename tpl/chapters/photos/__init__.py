"""Chapter 11: photographs, stand-ins for them, stamps."""
