"""The whole configuration of a server as a tree of files: written out, compared, and taken in one step."""
