"""The displays of fitted networks, which follow the convention of scikit-learn's Display classes.

Each module has one class. Its class method ``from_estimator`` computes the data, its constructor stores them, and its method
``plot`` draws them with matplotlib, which is imported only there. The package ``fastbp.inspection`` exports the classes.
"""
