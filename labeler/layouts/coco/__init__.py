"""The layout of COCO: regions, files of instances, and how both are read and written."""
