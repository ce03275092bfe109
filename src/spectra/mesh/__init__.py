"""Who is in the mesh and how it is: pure state machines over what the fabric brings."""
