"""What are the answers to the questions of the course assignment?

Run    python -m jaxdl.main --experiment=assignment
Takes  5 min 44 s with --quick on 2 CPU cores (2026-11-24); in full about 15 minutes
"""

from jaxdl import Assignment

EXPERIMENT = Assignment(
    parts={
        'Q1.1 Exploding gradients compared with vanishing gradients': ['vanishing_gradients'],
        'Q1.2 Sigmoid against ReLU': ['activations', 'hidden_activation'],
        'Q1.3 The update rules of a 2-2-1 network': ['backprop'],
        'Q1.4 Initialisation with zeros, ones or random weights': ['symmetry', 'init'],
        'Q2.1 and Q2.2 The size after a convolution, and after pooling': ['conv_arithmetic'],
        'Q2.3 Can a fully connected layer be a convolution?': ['fc_as_conv'],
        'Q2.4 Residual connections': ['residual'],
        'Q2.5 One-shot learning and the triplet loss': ['triplet'],
        'Q3.1 Design decisions, each by an ablation': [
            'batch_norm',
            'depth',
            'dropout',
            'final_activation',
            'pooling',
            'global_pooling',
            'optimizer',
            'schedule',
            'batch_size',
            'augmentation',
        ],
    }
)
