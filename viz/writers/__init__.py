"""Writers of pictures, one a format."""
