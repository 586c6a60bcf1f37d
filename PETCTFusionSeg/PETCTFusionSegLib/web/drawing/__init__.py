"""Drawing in the page: the brush, its strokes, and undo for whatever changes a segmentation."""
