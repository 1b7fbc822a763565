"""Report of an ablation study."""
