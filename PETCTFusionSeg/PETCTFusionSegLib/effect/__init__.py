"""The Segment Editor effect "PET/CT Fusion", for use inside any Segment Editor."""
