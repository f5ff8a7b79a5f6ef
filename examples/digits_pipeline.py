"""Do networks trained as control problems read ten handwritten digits better than a straight line does?

scikit-learn's digits, twelve principal components, in a pipeline whose every step sees the training folds alone; the
lines of logistic regression and a network of scikit-learn's own beside.
"""

import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ocdl.learn import HamiltonianClassifier, ResNetClassifier

images, digits = load_digits(return_X_y=True)
network = {"layers": 3, "weight": 1e-3, "max_iterations": 50, "random_state": 0}
estimators = {
    "logistic regression": LogisticRegression(max_iter=200),
    "ResNet": ResNetClassifier(**network),
    "Hamiltonian": HamiltonianClassifier(**network),
    "MLPClassifier": MLPClassifier(max_iter=50, random_state=0),
}
scores = {}
with warnings.catch_warnings():
    warnings.simplefilter("ignore", ConvergenceWarning)  # fifty iterations are what there is to spend
    for name, estimator in estimators.items():
        pipeline = make_pipeline(PCA(12, random_state=0), StandardScaler(), estimator)
        scores[name] = cross_val_score(pipeline, images, digits, cv=3)

if __name__ == "__main__":
    print(f"{len(digits)} digits, three folds")
    for name, accuracies in scores.items():
        print(f"{name:>20} {np.mean(accuracies):6.1%}  ({', '.join(f'{each:.1%}' for each in accuracies)})")
